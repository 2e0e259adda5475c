import {
  defineKernel,
  field,
  global,
  type Kernel,
  type KernelBuilder,
  type Ops,
  type ParamDecls,
  type ParamValues,
  sharedLayout,
  type Value,
} from '@flash-mla/ptx';

/** What the code of the tile-schedule kernel depends on. */
export interface TileScheduleConfig {
  /** Dense: lengths are tokens of the cache. Sparse: entries of `indices` that count. */
  readonly kind: 'dense' | 'sparse';
  /** Whether parts begin and end at cuts that do not depend on the batch. */
  readonly deterministic: boolean;
}

const threads = 1024;
const warps = threads / 32;

const params = {
  /** (b) tokens; sparse: entries of the main and of the extra cache. 0: each request has the most. */
  lengths: global('s32'),
  extraLengths: global('s32'),
  mostTokens: 's32',
  mostExtra: 's32',
  /** (parts, 8) and (b + 1), as `computeTileSchedule` documents them. */
  metadata: global('s32'),
  numSplits: global('s32'),
  batch: 'u32',
  numParts: 'u32',
  blockTokens: 's32',
  overheadBlocks: 's32',
  splitBlocks: 's32',
} as const satisfies ParamDecls;

export type TileScheduleParams = typeof params;
type Params = ParamValues<TileScheduleParams>;

const shared = sharedLayout({
  /** Blocks of the requests at hand. */
  blocks: field('s32', [threads]),
  warpSums: field('s32', [warps]),
  /** Parts that were begun. */
  begun: field('u32', [1]),
});
type Builder = KernelBuilder<TileScheduleParams, (typeof shared)['decls']>;

/** Cuts a batch into parts exactly like `computeTileSchedule`. One CTA. */
export function buildTileSchedule(config: TileScheduleConfig): Kernel<TileScheduleParams> {
  return defineKernel({ name: 'sm80_tile_schedule', params, shared, block: [threads] }, (k, p) => {
    const blocksOf = (request: Value<'u32'>) => requestBlocks(k, config, p, request);
    k.if(k.threadIdx.x.eq(0), () => p.numSplits.store(0));
    if (config.deterministic) cutAtSplits(k, p, blocksOf);
    else cutAnywhere(k, p, blocksOf);
    k.barrier();
    k.section('flags', () => markSplitRequests(k, p));
  });
}

function requestBlocks(
  k: Ops,
  { kind }: TileScheduleConfig,
  p: Params,
  request: Value<'u32'>,
): Value<'s32'> {
  const blocks = (lengths: Params['lengths'], most: Value<'s32'>) => {
    const length = k.var('s32', most);
    k.if(lengths.address().ne(0), () => {
      length.set(lengths.at(request).load().max(0).min(most));
    });
    // Not length + blockTokens − 1, which could overflow.
    return k.select<'s32'>(length.eq(0), 0, length.sub(1).div(p.blockTokens).add(1));
  };
  const main = blocks(p.lengths, p.mostTokens).max(1);
  return kind === 'dense' ? main : main.add(blocks(p.extraLengths, p.mostExtra));
}

/** The sum over the CTA's threads, for all of them. */
function ctaSum(k: Builder, v: Value<'s32'>): Value<'s32'> {
  const sum = k.reduce('add', v);
  k.barrier();
  k.if(k.laneId.eq(0), () => k.shared.warpSums.at(k.warpId).store(sum));
  k.barrier();
  return k.reduce('add', k.shared.warpSums.at(k.laneId).load());
}

/** The sum over the threads before this one. */
function ctaSumBefore(k: Builder, v: Value<'s32'>): Value<'s32'> {
  const inWarp = warpSumUpTo(k, v);
  k.barrier();
  k.if(k.laneId.eq(31), () => k.shared.warpSums.at(k.warpId).store(inWarp));
  k.barrier();
  const warpSum = k.shared.warpSums.at(k.laneId).load();
  const upTo = warpSumUpTo(k, warpSum);
  const before = k.shuffle(upTo.sub(warpSum), k.warpId);
  return before.add(inWarp).sub(v);
}

function warpSumUpTo(k: Ops, v: Value<'s32'>): Value<'s32'> {
  let sum = v;
  for (let distance = 1; distance < 32; distance *= 2) {
    const below = k.shuffleUp(sum, distance);
    sum = k.select(k.laneId.ge(distance), sum.add(below), sum);
  }
  return sum;
}

/** Runs `round` for each `threads` requests; lanes beyond the batch have 0 blocks. */
function eachRound(
  k: Ops,
  p: Params,
  blocksOf: (request: Value<'u32'>) => Value<'s32'>,
  round: (first: Value<'u32'>, request: Value<'u32'>, blocks: Value<'s32'>) => void,
): void {
  k.for({ to: p.batch, step: threads, name: 'round', uniform: true }, (first) => {
    const request = first.add(k.threadIdx.x);
    const blocks = k.var('s32', 0);
    k.if(request.lt(p.batch), () => blocks.set(blocksOf(request)));
    round(first, request, blocks);
  });
}

/** Fills parts in turn: one thread does it, the others fetch the numbers of blocks. */
function cutAnywhere(
  k: Builder,
  p: Params,
  blocksOf: (request: Value<'u32'>) => Value<'s32'>,
): void {
  const { overheadBlocks: overhead, metadata, numSplits, batch, numParts } = p;
  const total = k.var('s32', 0);
  eachRound(k, p, blocksOf, (_first, request, blocks) => {
    const cost = k.select<'s32'>(request.lt(batch), blocks.add(overhead), 0);
    total.addTo(ctaSum(k, cost));
  });
  const payload = balancedCost(k, p, blocksOf, total).named('payload');

  const part = k.var('u32', 0).named('part');
  const room = k.var('s32', payload).named('room');
  const block = k.var('s32', 0).named('block');
  const split = k.var('s32', 0).named('split');
  const splitsBefore = k.var('s32', 0);
  const endRequest = k.var('s32', -1);
  const endBlock = k.var('s32', 0);
  const begin = (request: Value<'u32'>) => {
    const row = metadata.at(part.shl(3));
    row.store(request.as('s32'));
    row.at(2).store(block);
    row.at(4).store(split);
  };
  const end = () => {
    const row = metadata.at(part.shl(3));
    row.at(1).store(endRequest);
    row.at(3).store(endBlock);
  };
  k.if(k.threadIdx.x.eq(0), () => begin(k.constant('u32', 0)));
  eachRound(k, p, blocksOf, (first, _request, blocks) => {
    k.barrier();
    k.shared.blocks.at(k.threadIdx.x).store(blocks);
    k.barrier();
    k.if(k.threadIdx.x.eq(0), () => {
      k.for({ from: first, to: first.add(threads).min(batch), name: 'request' }, (request) => {
        const size = k.shared.blocks.at(request.sub(first)).load();
        k.while(
          () => room.lt(size.sub(block).add(overhead)),
          () => {
            const fits = room.gt(overhead);
            k.if(fits, () => {
              block.set(block.add(room).sub(overhead));
              split.set(split.add(1));
              endRequest.set(request.as('s32'));
              endBlock.set(block);
            });
            end();
            part.set(part.add(1));
            room.set(payload);
            begin(request);
            endRequest.set(request.as('s32').sub(1));
            endBlock.set(0);
          },
        );
        room.set(room.sub(size.sub(block)).sub(overhead));
        endRequest.set(request.as('s32'));
        endBlock.set(size);
        splitsBefore.set(splitsBefore.add(split).add(1));
        numSplits.at(request).at(1).store(splitsBefore);
        block.set(0);
        split.set(0);
      });
    });
  });
  k.if(k.threadIdx.x.eq(0), () => {
    end();
    k.shared.begun.at(0).store(part.add(1));
  });
  k.barrier();
  k.section('parts without work', () => {
    const from = k.shared.begun.at(0).load().add(k.threadIdx.x);
    k.for({ from, to: numParts, step: threads }, (empty) => {
      emptyPart(p, empty, batch.as('s32'));
    });
  });
}

/**
 * What a part may cost: every warp tries one cost, more than there are for any overhead below 34, and
 * the least with which the parts suffice counts.
 */
function balancedCost(
  k: Builder,
  p: Params,
  blocksOf: (request: Value<'u32'>) => Value<'s32'>,
  total: Value<'s32'>,
): Value<'s32'> {
  const { overheadBlocks: overhead, batch, numParts } = p;
  const share = total.sub(1).div(numParts.as('s32')).add(1);
  const highest = share.add(overhead).named('highest_cost');
  const cost = share
    .max(highest.min(overhead.add(2)))
    .add(k.warpId.as('s32'))
    .named('cost');
  const most = cost.sub(overhead);
  const parts = k.var('s32', 1).named('parts');
  const room = k.var('s32', cost).named('room');
  eachRound(k, p, blocksOf, (first, _request, blocks) => {
    k.barrier();
    k.shared.blocks.at(k.threadIdx.x).store(blocks);
    k.barrier();
    k.if(
      cost.lt(highest),
      () => {
        const range = { from: first, to: first.add(threads).min(batch), uniform: true } as const;
        k.for({ ...range, name: 'request' }, (request) => {
          const size = k.shared.blocks.at(request.sub(first)).load();
          const left = room.sub(size).sub(overhead);
          k.if(
            left.lt(0),
            () => {
              const rest = size.sub(room.sub(overhead).max(0));
              const others = rest.sub(1).div(most).add(1);
              parts.addTo(others);
              room.set(others.mul(most).sub(rest));
            },
            () => room.set(left),
            { uniform: true },
          );
        });
      },
      { uniform: true },
    );
  });
  const suffices = cost.lt(highest).and(parts.le(numParts.as('s32')));
  k.barrier();
  k.if(k.laneId.eq(0), () =>
    k.shared.warpSums.at(k.warpId).store(k.select(suffices, cost, highest)),
  );
  k.barrier();
  return k.reduce('min', k.shared.warpSums.at(k.laneId).load());
}

function emptyPart(p: Params, part: Value<'u32'>, request: Value<'s32'>): void {
  const row = p.metadata.at(part.shl(3));
  row.store(request);
  row.at(1).store(request.sub(1));

  for (const i of [2, 3, 4]) row.at(i).store(0);
}

/** Gives each split to the part in whose share of the cost it begins: every request by itself. */
function cutAtSplits(
  k: Builder,
  p: Params,
  blocksOf: (request: Value<'u32'>) => Value<'s32'>,
): void {
  const { overheadBlocks: overhead, splitBlocks, metadata, numSplits, batch, numParts } = p;
  const splitsOf = (blocks: Value<'s32'>) => blocks.add(splitBlocks).sub(1).div(splitBlocks);
  const total = k.var('s32', 0);
  eachRound(k, p, blocksOf, (_first, _request, blocks) => {
    total.addTo(ctaSum(k, k.mad(splitsOf(blocks), overhead, blocks)));
  });
  /** The part in whose share a split with this cost before it begins. */
  const partOf = (before: Value<'s32'>): Value<'u32'> =>
    k.narrow(k.mulWide(before.as('u32'), numParts).div(k.widen(total.as('u32'))));

  const costBefore = k.var('s32', 0);
  const splitsBefore = k.var('s32', 0);
  eachRound(k, p, blocksOf, (_first, request, blocks) => {
    const splits = splitsOf(blocks);
    const cost = k.mad(splits, overhead, blocks);
    const before = k.var('s32', costBefore.add(ctaSumBefore(k, cost)));
    const splitsUpTo = splitsBefore.add(ctaSumBefore(k, splits)).add(splits);
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
      const block = k.var('s32', 0);
      k.for({ from: k.constant('s32', 0), to: splits, name: 'split' }, (split) => {
        const part = partOf(before);
        const row = metadata.at(part.shl(3));
        k.if(part.as('s32').gt(partBefore), () => {
          row.store(request.as('s32'));
          row.at(2).store(block);
          row.at(4).store(split);
        });
        const end = blocks.min(block.add(splitBlocks));
        before.set(before.add(end).sub(block).add(overhead));
        const next = partOf(before);
        k.if(next.gt(part), () => {
          row.at(1).store(request.as('s32'));
          row.at(3).store(end);
          const isLast = split.add(1).eq(splits);
          const following = k.select(isLast, request.add(1), request).as('s32');
          k.for({ from: part.add(1), to: next }, (empty) => emptyPart(p, empty, following));
        });
        block.set(end);
        partBefore.set(part.as('s32'));
      });
    });
    costBefore.set(costBefore.add(ctaSum(k, cost)));
    splitsBefore.set(splitsBefore.add(ctaSum(k, splits)));
  });
}

/** Notes for each part whether its first and its last request have several splits. */
function markSplitRequests(k: Ops, p: Params): void {
  k.for({ from: k.threadIdx.x, to: p.numParts, step: threads, name: 'part' }, (part) => {
    const row = p.metadata.at(part.shl(3));
    const [begin, end] = [row.load(), row.at(1).load()];
    const flag = (request: Value<'s32'>) => {
      const at = p.numSplits.at(request);
      return k.select<'s32'>(at.at(1).load().sub(at.load()).gt(1), 1, k.constant('s32', 0));
    };
    const flags = k.vars('s32', 2, 0);
    k.if(end.ge(begin), () => {
      flags[0].set(flag(begin));
      flags[1].set(flag(end));
    });
    row.at(5).store(flags[0]);
    row.at(6).store(flags[1]);
    row.at(7).store(0);
  });
}
