import { type Ops, packPair, segmentSum } from '@flash-mla/ptx';
import type { ConsumerPlace } from '../../../../kernel-lib/cuda/sm90/place.ts';
import { transposeQuad } from '../../../../kernel-lib/cuda/sm90/quad.ts';
import { queryOf } from './hide.ts';
import type { Params } from './params.ts';
import type { MhaState } from './softmax.ts';
import { consumerRows, type HopperMhaConfig } from './tile.ts';
import type { TileWork } from './work.ts';

const pair = [0, 1] as const;

/** Divides the outputs by the rows' sums and writes both results. */
export function writeResults(
  k: Ops,
  config: HopperMhaConfig,
  p: Params,
  { lane, consumer, row }: ConsumerPlace,
  work: TileWork,
  { reference, sum, outputs }: MhaState,
): void {
  const { element, headDimV, heads } = config.tile;
  const sums = sum.map((s) => segmentSum(k, s, 4));
  pair.forEach((r) => {
    const ownRow = k.mad(consumer, consumerRows, row.add(8 * r));
    const query = queryOf(config, ownRow);
    const head = work.head.add(ownRow.and(heads - 1));
    const token = work.firstQuery.add(query);
    const isThere = query.lt(work.queries);
    // Rows that see nothing have the sum 0: their output is 0.
    const isEmpty = sums[r].eq(0);
    const inverse = k.select<'f32'>(isEmpty, 0, k.rcp(sums[r]));
    k.if(isThere.and(lane.and(3).eq(0)), () => {
      const lse = reference[r].add(k.lg2(sums[r])).mul(Math.LN2);
      const to = p.lse.at(k.mulWide(head, p.totalQ).add(k.widen(token)));
      to.store(k.select<'f32'>(isEmpty, Number.POSITIVE_INFINITY, lse));
    });
    const index = k.mulWide(token, p.numHeadsQ).add(k.widen(head));
    const out = p.out
      .as('b32')
      .at(index.mul(headDimV / 2).add(k.widen(lane.and(3).shl(2))))
      .folded();
    for (let j = 0; j < headDimV / 8; j += 4) {
      const words = transposeQuad(
        k,
        lane,
        [0, 1, 2, 3].map((i) => {
          const [lo, hi] = pair.map((c) => outputs[4 * (j + i) + 2 * r + c].mul(inverse));
          return packPair(k, element, lo, hi).as('b32');
        }),
      );
      k.if(isThere, () => out.at(4 * j).storeVec(words));
    }
  });
}
