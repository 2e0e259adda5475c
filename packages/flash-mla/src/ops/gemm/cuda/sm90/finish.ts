import type { Ops, ParamValues, Pointer, Value, Var } from '@flash-mla/ptx';
import { loadOne, type RowDType } from '../../../kernel-lib/cuda/rows/columns.ts';
import type { TilePlace } from '../../../kernel-lib/cuda/sm90/products/tile.ts';
import { transposeQuad } from '../../../kernel-lib/cuda/sm90/quad.ts';
import {
  bytesOfRow,
  elementOf,
  type GemmConfig,
  type GemmParams,
  type Matrices,
} from '../config.ts';

/** What the results of a tile depend on beside its sums. */
export interface Results {
  readonly config: Pick<GemmConfig, 'bias' | 'residual' | 'out' | 'wholeUnits'>;
  readonly p: Omit<ParamValues<GemmParams>, 'x' | 'weight' | 'weightScales'>;
  readonly matrices: Pick<Matrices, 'residual' | 'out'>;
}

/** Blocks of eight columns that the lanes of a quad exchange, so that each stores one whole. */
const exchanged = 4;

/**
 * Writes the results of a warp group's 64 rows. `sums` are those of a multiplication: of every block of
 * eight columns a lane has two neighbours in two rows.
 */
export function finishTile(
  k: Ops,
  { config, p, matrices }: Results,
  sums: readonly Var<'f32'>[],
  place: TilePlace,
  group: Value<'u32'>,
): void {
  const blocks = sums.length / 4;
  const quad = k.laneId.and(3);
  const warpRow = k.mad(group, 64, k.threadIdx.x.shr(5).and(3).shl(4));
  const firstRow = place.row.add(warpRow).add(k.laneId.shr(2)).named('out_row');
  const firstColumn = place.column.add(quad.shl(1));
  const isWide = config.out === 'bf16' && config.wholeUnits;
  [0, 1].forEach((half) => {
    const row = firstRow.add(half * 8);
    const isRow = row.lt(p.rows);
    for (let block = 0; block < blocks; ) {
      const count = isWide && block + exchanged <= blocks ? exchanged : 1;
      const pairs = Array.from({ length: count }, (_, i) => pairOf(block + i, half, row, isRow));
      if (count === exchanged) storeBlocks(row, isRow, block, pairs);
      else storePair(row, isRow, firstColumn.add(block * 8), pairs[0] as Pair);
      block += count;
    }
  });

  type Pair = readonly [Value<'f32'>, Value<'f32'>];

  /** Two neighbours, finished but for their rounding. */
  function pairOf(block: number, half: number, row: Value<'u32'>, isRow: Value<'pred'>): Pair {
    const column = firstColumn.add(block * 8);
    const values = [0, 1].map((i) => {
      const value = k.var('f32', sums[block * 4 + half * 2 + i] as Value<'f32'>);
      const at = column.add(i);
      const { bias, residual } = config;
      if (bias) {
        k.if(at.lt(p.columns), () => {
          value.set(value.add(loadOne(p.bias.bytes(k.widen(at).mul(bytesOfRow(bias))), bias)));
        });
      }
      value.set(value.mul(p.scale));
      if (residual) {
        k.if(isRow.and(at.lt(p.columns)), () => {
          const from = elementOf(k, matrices.residual, residual, p.residualStride, row, at);
          value.set(value.add(loadOne(from, residual)));
        });
      }
      return value;
    });
    return values as unknown as Pair;
  }

  /** Four blocks of a quad: each lane stores eight columns. */
  function storeBlocks(
    row: Value<'u32'>,
    isRow: Value<'pred'>,
    block: number,
    pairs: readonly Pair[],
  ): void {
    const words = pairs.map(([low, high]) => k.packBf16x2(low, high).as('b32'));
    const own = transposeQuad(k, k.laneId, words);
    const column = place.column.add(block * 8).add(quad.shl(3));
    k.if(isRow.and(column.lt(p.columns)), () => outAt(row, column, 'bf16').as('b32').storeVec(own));
  }

  function storePair(
    row: Value<'u32'>,
    isRow: Value<'pred'>,
    column: Value<'u32'>,
    pair: Pair,
  ): void {
    pair.forEach((value, i) => {
      const at = column.add(i);
      k.if(isRow.and(at.lt(p.columns)), () => {
        const to = outAt(row, at, config.out);
        if (config.out === 'f32') to.as('f32').store(value);
        else to.as('u16').store(k.packBf16x2(value, k.constant('f32', 0)).as('u32'));
      });
    });
  }

  function outAt(
    row: Value<'u32'>,
    column: Value<'u32'>,
    dtype: RowDType,
  ): Pointer<'global', 'u8'> {
    return elementOf(k, matrices.out, dtype, p.outStride, row, column);
  }
}
