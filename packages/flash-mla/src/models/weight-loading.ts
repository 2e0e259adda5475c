import { type DType, encodeElements } from '@flash-mla/core';
import type { WeightPart, WeightUse } from '@flash-mla/models';
import type { Device } from '../runtime/device/device.ts';
import type { Tensor } from '../runtime/tensor/tensor.ts';

/** Rows of weights that are read at once, in elements: bounds what is held beside the device's memory. */
const chunkElements = 1 << 22;

/** What the operations take blocks of e4m3 weights to be. */
const block = 128;

/** Loads parts one below the other, converted to a dtype; what has it already is taken as it is. */
export function loadConverted<D extends 'bf16' | 'f32'>(
  device: Device,
  parts: readonly WeightPart[],
  dtype: D,
): Promise<Tensor<D>> {
  return load(device, parts, dtype, async ({ readRows, readBf16 }, begin, end) => {
    if (dtype === 'bf16' && readBf16 !== undefined) {
      const codes = await readBf16(begin, end);
      return new Uint8Array(codes.buffer, codes.byteOffset, codes.byteLength);
    }
    return encodeElements(dtype, await readRows(begin, end));
  });
}

/**
 * Whether the parts can stay in e4m3: blocks must not run from one part into the next. Of experts the
 * columns are whole blocks, too, so that both of their matrices stay what they are, or neither.
 */
export function canStayQuantized(parts: readonly WeightPart[], use: WeightUse): boolean {
  const isWhole = (size: number) => size % block === 0;
  return parts.every(
    ({ rows, columns, quantized }, i) =>
      quantized?.blockRows === block &&
      quantized.blockColumns === block &&
      (isWhole(rows) || (use !== 'experts' && i === parts.length - 1)) &&
      (use !== 'experts' || isWhole(columns)),
  );
}

/** Loads parts as the e4m3 codes that they are, and their scales. */
export async function loadQuantized(
  device: Device,
  parts: readonly WeightPart[],
): Promise<{ readonly codes: Tensor<'e4m3'>; readonly scales: Tensor<'f32'> }> {
  const codes = await load(device, parts, 'e4m3', async ({ quantized }, begin, end) => {
    return (await quantized?.readCodes(begin, end)) ?? new Uint8Array(0);
  });
  try {
    const all: Float32Array[] = [];
    for (const { quantized } of parts) if (quantized) all.push(await quantized.readScales());
    const across = Math.ceil((parts[0]?.columns ?? 0) / block);
    const values = Float32Array.from(all.flatMap((scales) => [...scales]));
    return { codes, scales: device.tensor(values, [values.length / across, across], 'f32') };
  } catch (error) {
    codes.dispose();
    throw error;
  }
}

async function load<D extends DType>(
  device: Device,
  parts: readonly WeightPart[],
  dtype: D,
  read: (
    part: WeightPart,
    begin: number,
    end: number,
  ) => Promise<Parameters<Tensor<D>['write']>[0]>,
): Promise<Tensor<D>> {
  const columns = parts[0]?.columns ?? 0;
  const rows = parts.reduce((sum, part) => sum + part.rows, 0);
  const whole = device.empty([rows, columns], dtype, { purpose: 'weights' });
  const step = Math.max(1, Math.floor(chunkElements / columns));
  let row = 0;
  try {
    for (const part of parts) {
      for (let begin = 0; begin < part.rows; begin += step) {
        const end = Math.min(part.rows, begin + step);
        const values = await read(part, begin, end);
        whole.slice(0, row, row + end - begin).write(values);
        row += end - begin;
      }
    }
  } catch (error) {
    whole.dispose();
    throw error;
  }
  return whole;
}
