/** Random problems and comparisons for the tests of this backend. */

import { type DType, decodeElements, encodeElements, numElements } from '@flash-mla/core';
import type { CpuOptions } from '../../../../runtime/cpu/index.ts';
import { open } from '../../../../runtime/cpu/testing/open.ts';
import { Device } from '../../../../runtime/device/device.ts';
import type { Tensor } from '../../../../runtime/tensor/tensor.ts';
import { type HostTensor, hostTensor } from '../../../reference.ts';

export async function openCpu(options: Partial<CpuOptions> = {}): Promise<Device> {
  return new Device(await open(0, { threads: 2, ...options }), options.debug ?? false, []);
}

/** A seeded generator of numbers in [0, 1): mulberry32. */
export function randomSource(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Roughly normal values of the given spread. */
export function randomTensor<D extends DType>(
  random: () => number,
  shape: readonly number[],
  dtype: D,
  spread = 1,
): HostTensor<D> {
  const values = new Float32Array(numElements(shape));
  for (let i = 0; i < values.length; i++) {
    values[i] = (random() + random() + random() - 1.5) * 2 * spread;
  }
  return hostTensor(dtype, shape, encodeElements(dtype, values));
}

export function intTensor(values: readonly number[], shape?: readonly number[]): HostTensor<'i32'> {
  return hostTensor('i32', shape ?? [values.length], Int32Array.from(values));
}

export function randomInt(random: () => number, low: number, high: number): number {
  return low + Math.floor(random() * (high - low + 1));
}

/** A random order of 0…n−1. */
export function shuffled(random: () => number, n: number): number[] {
  const order = Array.from({ length: n }, (_, i) => i);
  for (let i = n - 1; i > 0; i--) {
    const j = randomInt(random, 0, i);
    [order[i], order[j]] = [order[j] as number, order[i] as number];
  }
  return order;
}

export function upload<D extends DType>(device: Device, host: HostTensor<D>): Tensor<D> {
  return device.tensor(host.data, host.shape, host.dtype);
}

/**
 * The largest distance from `expected` beyond what rounding to the tensor's dtype explains, relative
 * to the largest expected value; infinite where infinities or NaN stand in other places.
 */
export function excess(dtype: DType, actual: ArrayLike<number>, expected: Float64Array): number {
  const rounding = dtype === 'bf16' ? 2 ** -8 : dtype === 'f16' ? 2 ** -11 : 2 ** -22;
  let largest = 0;
  for (const e of expected) if (Number.isFinite(e)) largest = Math.max(largest, Math.abs(e));
  let worst = 0;
  for (let i = 0; i < expected.length; i++) {
    const e = expected[i] as number;
    const a = actual[i] as number;
    if (Object.is(a, e) || a === e) continue;
    const distance = Math.abs(a - e);
    if (!Number.isFinite(distance)) return Number.POSITIVE_INFINITY;
    worst = Math.max(worst, distance - rounding * Math.abs(e));
  }
  return largest === 0 ? worst : worst / largest;
}

/** A bound for {@link excess}: float32 arithmetic, unless probabilities are rounded to bf16 on the way. */
export function errorBound({ info }: Device): number {
  return info.details.bf16Products === true ? 4e-3 : 2e-6;
}

/** {@link excess} of a device tensor, read back. */
export async function excessOf(tensor: Tensor, expected: Float64Array): Promise<number> {
  const data = await tensor.read();
  if (data.length !== expected.length) return Number.POSITIVE_INFINITY;
  return excess(tensor.dtype, decodeElements(tensor.dtype, data), expected);
}
