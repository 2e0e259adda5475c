import type { Ops, Value } from '@flash-mla/ptx';
import { partRow } from '../part-row.ts';
import {
  type Builder,
  ctaSum,
  ctaSums,
  eachRound,
  emptyPart,
  type Params,
  type Sum,
} from './common.ts';

/** Gives each split to the part in whose share of the cost it begins: every request by itself. */
export function cutAtSplits(
  k: Builder,
  p: Params,
  threads: number,
  blocksOf: (request: Value<'u32'>) => Value<'s32'>,
): void {
  const { overheadBlocks: overhead, splitBlocks, metadata, numSplits, batch, numParts } = p;
  const splitsOf = (blocks: Value<'s32'>) => blocks.add(splitBlocks).sub(1).div(splitBlocks);
  const total = k.var('s32', 0);
  eachRound(k, p, threads, blocksOf, (_first, _request, blocks) => {
    total.addTo(ctaSum(k, threads, k.mad(splitsOf(blocks), overhead, blocks)));
  });
  /** The part in whose share a split with this cost before it begins. */
  const partOf = (before: Value<'s32'>): Value<'u32'> =>
    k.narrow(k.mulWide(before.as('u32'), numParts).div(k.widen(total.as('u32'))));
  /** The cost at which the share of a part begins. */
  const beginOf = (part: Value<'u32'>): Value<'s32'> => {
    const scaled = k.madWide(part, total.as('u32'), k.widen(numParts.sub(1)));
    return k.narrow(scaled.div(k.widen(numParts))).as('s32');
  };
  const whole = splitBlocks.add(overhead);

  const costBefore = k.var('s32', 0);
  const splitsBefore = k.var('s32', 0);
  eachRound(k, p, threads, blocksOf, (_first, request, blocks) => {
    const splits = splitsOf(blocks);
    const cost = k.mad(splits, overhead, blocks);
    const [costs, counts] = ctaSums(k, threads, [cost, splits]) as [Sum, Sum];
    const before = costBefore.add(costs.before);
    const splitsUpTo = splitsBefore.add(counts.before).add(splits);
    k.if(request.lt(batch), () => {
      numSplits.at(request).at(1).store(splitsUpTo);
      // The part of the split before this one; none before the first.
      const partBefore = k.var('s32', -1);
      k.if(request.gt(0), () => {
        const blocksBefore = blocksOf(request.sub(1));
        const whole = splitsOf(blocksBefore).sub(1).mul(splitBlocks);
        const last = blocksBefore.sub(whole).add(overhead);
        partBefore.set(partOf(before.sub(last)).as('s32'));
      });
      // From part to part and not from split to split, of which a long request has very many.
      const split = k.var('s32', 0);
      k.while(
        () => split.lt(splits),
        () => {
          const part = partOf(k.mad(split, whole, before));
          const row = partRow(metadata, part);
          k.if(part.as('s32').gt(partBefore), () => {
            row('beginRequest').store(request.as('s32'));
            row('beginBlock').store(split.mul(splitBlocks));
            row('beginSplit').store(split);
          });
          // The first split that begins in the share of a later part.
          const share = beginOf(part.add(1)).sub(before);
          const beyond = share.add(whole).sub(1).div(whole).max(split.add(1)).min(splits);
          const isLast = beyond.eq(splits);
          const reached = k.select(isLast, before.add(cost), k.mad(beyond, whole, before));
          const next = partOf(reached);
          k.if(next.gt(part), () => {
            row('endRequest').store(request.as('s32'));
            row('endBlock').store(blocks.min(beyond.mul(splitBlocks)));
            const following = k.select(isLast, request.add(1), request).as('s32');
            k.for({ from: part.add(1), to: next }, (empty) => emptyPart(p, empty, following));
          });
          split.set(beyond);
          partBefore.set(part.as('s32'));
        },
        { name: 'part' },
      );
    });
    costBefore.addTo(costs.total);
    splitsBefore.addTo(counts.total);
  });
  k.if(batch.eq(0), () => {
    k.for({ from: k.threadIdx.x, to: numParts, step: threads }, (part) => {
      emptyPart(p, part, k.constant('s32', 0));
    });
  });
  k.barrier();
  k.section('flags', () => markSplitRequests(k, p, threads));
}

/** Notes for each part whether its first and its last request have several splits. */
function markSplitRequests(k: Ops, p: Params, threads: number): void {
  k.for({ from: k.threadIdx.x, to: p.numParts, step: threads, name: 'part' }, (part) => {
    const row = partRow(p.metadata, part);
    const [begin, end] = [row('beginRequest').load(), row('endRequest').load()];
    const flag = (request: Value<'s32'>) => {
      const at = p.numSplits.at(request);
      return k.select<'s32'>(at.at(1).load().sub(at.load()).gt(1), 1, k.constant('s32', 0));
    };
    const flags = k.vars('s32', 2, 0);
    k.if(end.ge(begin), () => {
      flags[0].set(flag(begin));
      flags[1].set(flag(end));
    });
    row('beginIsSplit').store(flags[0]);
    row('endIsSplit').store(flags[1]);
    row('unused').store(0);
  });
}
