import type { StorageOf } from '@flash-mla/core';
import {
  callSpace,
  type PropertyOperation,
  reduced,
  stepCount,
} from '../../conformance/property/operation.ts';
import { choice, flag, integer } from '../../conformance/property/parameters.ts';
import { wildNumbers } from '../../conformance/property/wild-numbers.ts';
import { caseCost } from '../../conformance/suite/cost.ts';
import type { Random } from '../../conformance/suite/random.ts';
import { append } from './append.ts';
import { generateAppend } from './generate-append.ts';
import type { AppendKvCache } from './problems.ts';

const space = {
  mode: callSpace.mode,
  steps: callSpace.steps,
  placed: callSpace.placed,
  layout: choice('bf16', 'f16', 'e4m3', 'v32', 'model1'),
  blocks: integer(1, 8),
  page: integer(1, 130, { usual: [64, 64, 16, 1] }),
  /** Rows to append. */
  rows: integer(1, 90),
  /** Plain caches: KV heads and columns. */
  hKv: integer(1, 4),
  dQk: integer(1, 600, { usual: [576, 64, 128] }),
  slots: choice('inside', 'some', 'wild'),
  /** Slots of 64 bits. */
  longSlots: flag(0.4),
};

/** `appendKvCache`. The slots change from step to step. */
export const drawnAppend: PropertyOperation<typeof space> = {
  kind: append,
  share: 2,
  space,

  normalize(values) {
    const { page, layout } = values;
    const isPacked = layout === 'v32' || layout === 'model1';
    return {
      ...values,
      blocks: reduced(values.blocks, 1, (n) => n * page <= 200),
      hKv: isPacked ? 1 : values.hKv,
      dQk: isPacked ? 576 : values.dQk,
    };
  },

  cost: ({ layout, blocks, page, rows, hKv, dQk }) =>
    caseCost(append, { op: 'append', layout, blocks, page, rows, hKv, dQk }),

  build(values, random) {
    const { rows, blocks, page, longSlots, slots } = values;
    const problem = generateAppend({ ...values, op: 'append' }, random);
    const steps = Array.from({ length: stepCount(values) }, (_, step): AppendKvCache => {
      const list = drawSlots(slots, rows, blocks * page, longSlots, random.stream(`slots ${step}`));
      return {
        ...problem,
        slots: longSlots
          ? { dtype: 'i64', shape: [rows], data: BigInt64Array.from(list, BigInt) }
          : { dtype: 'i32', shape: [rows], data: Int32Array.from(list) as StorageOf<'i32'> },
      };
    });
    return { steps, valueSize: 1 };
  },
};

/** Distinct slots, since which of two rows stays in one is not defined; and some of none. */
function drawSlots(
  kind: 'inside' | 'some' | 'wild',
  count: number,
  capacity: number,
  isLong: boolean,
  random: Random,
): number[] {
  const inside = random.shuffle(Array.from({ length: capacity }, (_, slot) => slot));
  // Their lower halves are slots of the cache.
  const long = isLong ? [2 ** 32, 2 ** 32 + 1, -(2 ** 32), 2 ** 52] : [];
  const outside = [...wildNumbers, capacity, ...long].filter((n) => n < 0 || n >= capacity);
  return Array.from({ length: count }, (_, i) => {
    const slot = inside[i];
    const isOutside = kind === 'wild' && random.chance(0.4);
    if (slot === undefined || isOutside) return random.pick(outside);
    return kind === 'some' && random.chance(0.3) ? -1 : slot;
  });
}
