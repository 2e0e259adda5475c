import { dtypeSize, encodeBf16, type HostTensor, storageFromBytes } from '@flash-mla/core';
import type { Random } from '../../conformance/suite/random.ts';
import { packedLayouts } from '../reference/index.ts';
import type { AppendParams } from './params.ts';
import type { AppendKvCache } from './problems.ts';

/**
 * A cache of any bytes and finite rows of every size. No two rows have the same slot; a third have none
 * of the cache: −1, the first behind it, and far outside on either side.
 */
export function generateAppend(params: AppendParams, random: Random): AppendKvCache {
  const { layout: name, blocks, page, rows: count, hKv = 1, longSlots } = params;
  const isPacked = name === 'v32' || name === 'model1';
  const [dtype, cacheDtype] = isPacked ? (['bf16', 'u8'] as const) : ([name, name] as const);
  const columns = isPacked ? packedLayouts[name].headDimQk : (params.dQk ?? 576);
  const width = isPacked ? packedLayouts[name].rowBytes : columns;
  const any = <D extends typeof dtype | typeof cacheDtype>(
    of: D,
    shape: number[],
  ): HostTensor<D> => {
    const bytes = new Uint8Array(shape.reduce((size, n) => size * n, dtypeSize(of)));
    for (let i = 0; i < bytes.length; i++) bytes[i] = random.integer(0, 255);
    return { dtype: of, shape, data: storageFromBytes(of, bytes) };
  };
  const kCache = any(cacheDtype, [blocks, page, hKv, width]);
  const rows = any(dtype, [count, hKv, columns]);
  if (isPacked) {
    for (let i = 0; i < rows.data.length; i++) {
      const size = 10 ** ((Math.floor(i / columns) % 11) - 6);
      (rows.data as Uint16Array)[i] = encodeBf16(random.normal() * size);
    }
  }
  const capacity = blocks * page;
  const outside = longSlots
    ? [-1, capacity, 2 ** 31, -(2 ** 31), 2 ** 32, 2 ** 32 + 1, -(2 ** 40), 2 ** 52]
    : [-1, capacity, 2 ** 31 - 1, -(2 ** 31)];
  const inside = random.shuffle(Array.from({ length: capacity }, (_, slot) => slot));
  const list = Array.from({ length: count }, (_, i) =>
    i % 3 === 1 ? (outside[((i / 3) % outside.length) | 0] as number) : (inside[i] ?? -1),
  );
  const slots: AppendKvCache['slots'] = longSlots
    ? { dtype: 'i64', shape: [count], data: BigInt64Array.from(list, BigInt) }
    : { dtype: 'i32', shape: [count], data: Int32Array.from(list) };
  return { op: 'append', layout: isPacked ? name : 'plain', kCache, rows, slots };
}
