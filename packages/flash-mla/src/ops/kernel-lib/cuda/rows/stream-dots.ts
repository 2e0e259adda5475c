import type { MemType, Ops, Pointer, Value, Var } from '@flash-mla/ptx';
import { columnsPerThread, loadColumns, type RowDType, type RowLayout } from './columns.ts';
import { loadWeights, presenceIn } from './weights.ts';

/** How a warp multiplies rows with rows of weights. */
export interface StreamLayout {
  readonly x: RowLayout<RowDType>;
  readonly weight: RowLayout;
  /** Whether rows end with eight elements; else they are looked at one by one at their ends. */
  readonly wholeUnits: boolean;
  /** Loads of a row of weights that a lane has under way. */
  readonly unroll: number;
}

/** Rows of a warp, by their first elements. */
export interface StreamRows {
  readonly depth: Value<'u32'>;
  readonly weights: readonly Pointer<'global', MemType>[];
  readonly xs: readonly Pointer<'global', MemType>[];
  /** e4m3: the scales of each row of weights, one for 128 of the depth. */
  readonly scales?: readonly Pointer<'global', 'f32'>[] | undefined;
}

/** Elements that share a scale, as a shift. */
const scaleShift = 7;
const sizes = { f32: 4, bf16: 2, e4m3: 1 } as const;

/**
 * The products of rows of weights with rows of x, [weights][x]: each lane has a part of every sum. Lanes
 * take eight neighbours of every 256; the weights stream through their registers once.
 */
export function streamDots(
  k: Ops,
  { x, weight, wholeUnits, unroll }: StreamLayout,
  { depth, weights, xs, scales }: StreamRows,
): Var<'f32'>[][] {
  const sums = weights.map(() => k.vars('f32', xs.length, 0));
  const step = 32 * columnsPerThread;
  const range = {
    ...{ from: k.laneId.mul(columnsPerThread), to: depth.add(step - 1), step: step * unroll },
    ...{ unroll: false, name: 'k' },
  };
  k.for(range, (begin) => {
    const places = Array.from({ length: unroll }, (_, u) => begin.add(u * step));
    const loaded = places.map((place) => {
      const presence = presenceIn(place, depth, wholeUnits);
      const values = weights.map((from) =>
        loadWeights(k, from.bytes(k.widen(place).mul(sizes[weight.dtype])), weight, presence),
      );
      return { place, presence, values };
    });
    for (const { place, presence, values } of loaded) {
      const factors = scales?.map((from) =>
        from.at(place.min(depth.sub(1)).shr(scaleShift)).load({ nc: true }),
      );
      xs.forEach((from, r) => {
        const at = from.bytes(k.widen(place).mul(sizes[x.dtype]));
        const row = loadColumns(k, at, x, presence);
        values.forEach((ofColumn, c) => {
          const sum = sums[c]?.[r] as Var<'f32'>;
          const factor = factors?.[c];
          const product = dot(row, ofColumn, factor ? k.constant('f32', 0) : sum);
          sum.set(factor ? k.fma(product, factor, sum) : product);
        });
      });
    }
  });
  return sums;

  function dot(
    a: readonly Value<'f32'>[],
    b: readonly Value<'f32'>[],
    start: Value<'f32'>,
  ): Value<'f32'> {
    return a.reduce<Value<'f32'>>((sum, v, i) => k.fma(v, b[i] as Value<'f32'>, sum), start);
  }
}
