import {
  defineKernel,
  global,
  type Kernel,
  type Ops,
  type ParamDecls,
  type ParamValues,
  segmentSum,
  type Value,
} from '@flash-mla/ptx';
import type { RowDType, RowLayout } from '../../kernel-lib/cuda/rows/columns.ts';
import { streamDots } from '../../kernel-lib/cuda/rows/stream-dots.ts';
import { tileWords } from './sm80_sort_pairs.ts';

/** What the code of both products depends on. */
export interface ProductConfig {
  /** Rows that are multiplied: those of the batch, or activations. */
  readonly x: RowLayout<RowDType>;
  readonly weight: RowLayout;
  readonly rowTile: number;
  readonly wholeUnits: boolean;
}

const params = {
  x: global('u8'),
  weight: global('u8'),
  /** f32; 0 where there are none. */
  scales: global('f32'),
  order: global('u32'),
  tiles: global('u32'),
  numTiles: global('u32'),
  /** f32 (pairs, columns). */
  out: global('f32'),
  columns: 'u32',
  depth: 'u32',
  /** Pairs that share a row of x. */
  pairsPerRow: 'u32',
  /** Bytes between rows, rows of weights, experts. */
  xStride: 'u64',
  weightStride: 'u64',
  expertStride: 'u64',
  /** Elements between rows of scales, and experts. */
  scalesStride: 'u32',
  scalesExpertStride: 'u64',
} as const satisfies ParamDecls;

export type ProductParams = typeof params;

const warps = 4;
/** Told, the assembler spills none; left to itself it tries to get along with fewer. */
const maxRegisters = 128;
const scaleShift = 7;

export const upColumns = warps;
export const downColumns = 2 * warps;

/** silu(gate) · up of the pairs of a tile: a warp takes a column, which is two rows of weights. */
export function buildExpertUp(config: ProductConfig): Kernel<ProductParams> {
  const options = { name: 'sm80_expert_up', params, block: [warps * 32], maxRegisters } as const;
  return defineKernel(options, (k, p) => {
    const column = k.mad(k.blockIdx.x, warps, k.warpId).named('column');
    k.if(column.ge(p.columns), () => k.exit(), { uniform: true });
    const tile = tileOf(k, config, p);
    const sums = dots(k, config, p, tile, [column, column.add(p.columns)]);
    tile.pairs.forEach((pair, r) => {
      const [gate, up] = sums.map((ofRow) => segmentSum(k, ofRow[r] as Value<'f32'>));
      if (!gate || !up) return;
      const value = gate.mul(k.rcp(k.ex2(gate.mul(-Math.LOG2E)).add(1))).mul(up);
      store(k, p, tile, r, pair, column, value);
    });
  });
}

/** Rows of a tile times weights: a warp takes two columns. */
export function buildExpertDown(config: ProductConfig): Kernel<ProductParams> {
  const options = { name: 'sm80_expert_down', params, block: [warps * 32], maxRegisters } as const;
  return defineKernel(options, (k, p) => {
    const first = k.mad(k.blockIdx.x, warps, k.warpId).mul(2).named('first_column');
    k.if(first.ge(p.columns), () => k.exit(), { uniform: true });
    const tile = tileOf(k, config, p);
    // What is beyond the end counts as the last: it is computed and not stored.
    const columns = [first, first.add(1).min(p.columns.sub(1))];
    const sums = dots(k, config, p, tile, columns);
    tile.pairs.forEach((pair, r) => {
      sums.forEach((ofRow, c) => {
        const value = segmentSum(k, ofRow[r] as Value<'f32'>);
        const column = first.add(c);
        k.if(column.lt(p.columns), () => store(k, p, tile, r, pair, column, value));
      });
    });
  });
}

interface Tile {
  readonly expert: Value<'u32'>;
  readonly count: Value<'u32'>;
  readonly pairs: readonly Value<'u32'>[];
}

/** The pairs of this CTA's tile; those that are not there count as the last. CTAs without one leave. */
function tileOf(k: Ops, { rowTile }: ProductConfig, p: ParamValues<ProductParams>): Tile {
  k.if(k.blockIdx.y.ge(p.numTiles.at(0).load()), () => k.exit(), { uniform: true });
  const words = p.tiles.at(k.blockIdx.y.mul(tileWords));
  const [expert, first, count] = [0, 1, 2].map((i) => words.at(i).load()) as [
    Value<'u32'>,
    Value<'u32'>,
    Value<'u32'>,
  ];
  const last = count.sub(1);
  const pairs = Array.from({ length: rowTile }, (_, r) =>
    p.order.at(first.add(last.min(r))).load(),
  );
  return { expert, count, pairs };
}

function dots(
  k: Ops,
  { x, weight, wholeUnits, rowTile }: ProductConfig,
  p: ParamValues<ProductParams>,
  { expert, pairs }: Tile,
  rows: readonly Value<'u32'>[],
) {
  const matrix = p.weight.bytes(k.widen(expert).mul(p.expertStride));
  const scales = p.scales.at(k.widen(expert).mul(p.scalesExpertStride));
  return streamDots(
    k,
    { x, weight, wholeUnits, unroll: Math.max(1, 4 / rowTile) },
    {
      depth: p.depth,
      weights: rows.map((row) => matrix.bytes(k.widen(row).mul(p.weightStride))),
      xs: pairs.map((pair) => p.x.bytes(k.widen(pair.div(p.pairsPerRow)).mul(p.xStride))),
      ...(weight.dtype === 'e4m3' && {
        scales: rows.map((row) => scales.at(k.mulWide(row.shr(scaleShift), p.scalesStride))),
      }),
    },
  );
}

function store(
  k: Ops,
  p: ParamValues<ProductParams>,
  { count }: Tile,
  r: number,
  pair: Value<'u32'>,
  column: Value<'u32'>,
  value: Value<'f32'>,
): void {
  k.if(k.laneId.eq(r).and(count.gt(r)), () => {
    p.out.at(k.mulWide(pair, p.columns)).at(column).store(value);
  });
}
