import type { HostTensor } from '@flash-mla/core';
import type { Random } from '../suite/random.ts';
import type { Place } from '../upload.ts';
import type { PlacementRule } from '../variant.ts';

/**
 * A place in memory that the rule allows: outer dimensions in any order, gaps after the rows and
 * around every dimension, an odd offset, one copy for entries that are all the same, and any stride for
 * a dimension of one entry.
 */
export function drawPlace({ shape, data }: HostTensor, rule: PlacementRule, random: Random): Place {
  if (rule === 'v32' || rule === 'model1') return packedPlace(rule, shape, random);
  const isContiguous = rule === 'contiguous' || rule === 'aligned';
  const last = shape.length - 1;
  const strides = shape.map(() => 1);
  const outer = random.shuffle(shape.slice(0, last).map((_, d) => d));
  if (rule !== 'any' && rule !== 'disjoint') outer.sort((a, b) => b - a);
  let extent = (shape[last] ?? 1) + (isContiguous ? 0 : gap(random));
  for (const d of outer) {
    strides[d] = extent;
    const mayRepeat = rule === 'any' && repeats(data, shape, d);
    if (mayRepeat && random.chance(0.5)) strides[d] = 0;
    // Requests one after the other: nothing between the last query of one and the first of the next.
    else if (isContiguous || (rule === 'together' && d === 1)) extent *= shape[d] as number;
    else extent = extent * (shape[d] as number) + gap(random);
    if (shape[d] === 1 && rule === 'any') strides[d] = random.pick([strides[d] as number, 0, 7]);
  }
  const offset = random.pick(rule === 'aligned' ? [0, 8, 16, 24] : [0, 0, 1, 3, 8, 16]);
  return { strides, offset, span: offset + Math.max(extent, 1) + random.pick([0, 5]) };
}

function gap(random: Random): number {
  return random.pick([0, 0, 1, 8, 16, 24]);
}

/** Blocks and `v32` rows begin at multiples of 16 bytes, `model1` blocks of 8. */
function packedPlace(rule: 'v32' | 'model1', shape: readonly number[], random: Random): Place {
  const [blocks, page, , rowBytes] = shape as [number, number, number, number];
  const unit = rule === 'v32' ? 16 : 8;
  const rowStride = rowBytes + (rule === 'v32' ? unit * random.pick([0, 0, 1, 3]) : 0);
  const block = Math.ceil((page * rowStride) / unit) * unit + unit * random.pick([0, 0, 1, 7]);
  const offset = unit * random.pick([0, 0, 1, 5]);
  return {
    strides: [block, rowStride, random.pick([rowBytes, 0, 1]), 1],
    offset,
    span: offset + Math.max(1, blocks * block) + random.pick([0, 24]),
  };
}

/** Whether all entries along a dimension are the same, so that one copy of them is enough. */
function repeats(data: HostTensor['data'], shape: readonly number[], dimension: number): boolean {
  const count = shape[dimension] as number;
  if (count < 2 || data.length === 0) return false;
  const inner = shape.slice(dimension + 1).reduce((product, n) => product * n, 1);
  for (let i = 0; i < data.length; i++) {
    const at = Math.floor(i / inner) % count;
    if (at > 0 && data[i] !== data[i - inner]) return false;
  }
  return true;
}
