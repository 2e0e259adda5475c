import { readFileSync } from 'node:fs';
import { type DType, type HostTensor, hostTensorFromBytes } from '@flash-mla/core';

/** A case file as plain host tensors; the library's own reader lives in `cases/`. */
export interface CaseFile {
  readonly metadata: Readonly<Record<string, string>>;
  get<D extends DType>(name: string): HostTensor<D>;
  find<D extends DType>(name: string): HostTensor<D> | undefined;
}

const dtypeNames: Readonly<Record<string, DType>> = {
  F32: 'f32',
  BF16: 'bf16',
  I32: 'i32',
  U8: 'u8',
};

/** Reads `vectors/<name>.safetensors`. */
export function readCase(name: string): CaseFile {
  const url = new URL(`../../../../../vectors/${name}.safetensors`, import.meta.url);
  const file = readFileSync(url);
  const headerBytes = Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.toString('utf8', 8, 8 + headerBytes)) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >;
  const tensors = new Map<string, HostTensor>();
  for (const [key, entry] of Object.entries(header)) {
    const dtype = dtypeNames[entry.dtype];
    if (dtype === undefined) continue;
    const [begin, end] = entry.data_offsets;
    // A copy, because bytes in the file need not be aligned for their dtype.
    const bytes = new Uint8Array(file.subarray(8 + headerBytes + begin, 8 + headerBytes + end));
    tensors.set(key, hostTensorFromBytes(dtype, entry.shape, bytes));
  }
  return {
    metadata: header.__metadata__ as unknown as Record<string, string>,
    find: <D extends DType>(key: string) => tensors.get(key) as HostTensor<D> | undefined,
    get: <D extends DType>(key: string) => {
      const tensor = tensors.get(key);
      if (!tensor) throw new Error(`${name} has no tensor ${key}`);
      return tensor as HostTensor<D>;
    },
  };
}
