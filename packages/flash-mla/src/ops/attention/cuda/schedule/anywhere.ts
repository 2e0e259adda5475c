import type { Ops, Value, Var } from '@flash-mla/ptx';
import { partRow } from '../part-row.ts';
import {
  type Builder,
  ctaSum,
  ctaSums,
  eachRound,
  emptyPart,
  mostThreads,
  ofWarps,
  type Params,
  type Sum,
  warpSumUpTo,
} from './common.ts';

type BlocksOf = (request: Value<'u32'>) => Value<'s32'>;

/**
 * How requests fill parts of one cost. Let `most` be cost − overhead, what fits into a part of one
 * request, and `room` what a part has left after a request. The next request of `size` blocks first
 * gets max(0, room − overhead) of them into that part and goes on in others, `most` in each. So what
 * is left after it is max(0, room − overhead) − size modulo `most`, and only size mod most matters to
 * those that follow.
 */
interface Filling {
  readonly most: Value<'u32'>;
  /** ⌊(2³² − 1) / most⌋: dividing by `most` takes a product. */
  readonly inverse: Value<'u32'>;
  readonly overhead: Value<'s32'>;
}

interface Parted {
  /** size mod most */
  readonly rest: Value<'s32'>;
  /** ⌊size / most⌋ */
  readonly whole: Value<'s32'>;
}

/** Steps of {@link walk} between looks at the end. */
const stepsAtOnce = 8;
/** Lanes that get the room before the first of them from the walk and follow it further themselves. */
const lanesAtOnce = 4;

/** Fills parts in turn: exactly what `computeTileSchedule` does, with one short chain over requests. */
export function cutAnywhere(k: Builder, p: Params, threads: number, blocksOf: BlocksOf): void {
  const { overheadBlocks: overhead, batch, numParts } = p;
  const total = k.var('s32', 0);
  eachRound(k, p, threads, blocksOf, (_first, request, blocks) => {
    k.shared.blocks.at(k.threadIdx.x).store(blocks);
    const cost = k.select<'s32'>(request.lt(batch), blocks.add(overhead), 0);
    total.addTo(ctaSum(k, threads, cost));
  });
  const share = total.sub(1).as('u32').div(numParts).as('s32').add(1);
  const highest = share.add(overhead).named('highest_cost');
  const lowest = share.max(highest.min(overhead.add(2))).named('lowest_cost');
  const payload = leastCost(k, p, threads, blocksOf, lowest, highest).named('payload');
  const begun = fill(k, p, threads, blocksOf, payload, payload.sub(lowest));
  k.section('parts without work', () => {
    const from = begun.as('u32').add(k.threadIdx.x);
    k.for({ from, to: numParts, step: threads }, (empty) => {
      emptyPart(p, empty, batch.as('s32'));
    });
  });
}

/** What fits into a part of one request: 1 at least, also for a batch of no requests, without a cost. */
function mostOf(cost: Value<'s32'>, overhead: Value<'s32'>): Value<'u32'> {
  return cost.sub(overhead).max(1).as('u32').named('most');
}

/** Divides by `most`; the product with the inverse is too low by one at most. */
function parted(k: Builder, { most, inverse }: Filling, size: Value<'s32'>): Parted {
  const low = k.mulHi(size.as('u32'), inverse);
  const rest = size.as('u32').sub(low.mul(most));
  const more = k.select<'s32'>(rest.ge(most), 1, k.constant('s32', 0));
  return { rest: rest.min(rest.sub(most)).as('s32'), whole: low.as('s32').add(more) };
}

/**
 * Follows `room` through the requests of a warp's lanes, `count` of them or up to
 * {@link stepsAtOnce} − 1 more. Each lane gets the room before its own.
 */
function walk(
  k: Ops,
  { most, overhead }: Filling,
  room: Var<'s32'>,
  rest: Value<'s32'>,
  count: Value<'u32'>,
): Value<'s32'> {
  const taken = rest.add(overhead).neg();
  /** max(0, room − overhead) less a request's `rest`, modulo `most`. */
  const step = (before: Value<'s32'>, less: Value<'s32'>) => {
    const left = before.add(less).max(less.add(overhead)).as('u32');
    // As unsigned, a negative number is large.
    return left.add(most).min(left).as('s32');
  };
  const lanesFrom = (from: number) =>
    Array.from({ length: from < 32 ? stepsAtOnce : 0 }, (_, i) => k.shuffle(taken, from + i));
  const own = k.var('s32', 0);
  const follow = (from: number, lanes: readonly Value<'s32'>[]) => {
    if (from === 32) return;
    const steps = () => {
      // For the block after the branch: the assembler leaves them here, else each step would wait.
      const next = lanesFrom(from + stepsAtOnce);
      let now = k.copy(room);
      for (const [i, less] of lanes.entries()) {
        if (i % lanesAtOnce === 0) own.set(k.select(k.laneId.ge(from + i), now, own));
        now = step(now, less);
      }
      room.set(now);
      follow(from + stepsAtOnce, next);
    };
    k.if(count.gt(from), steps, { uniform: true });
  };
  follow(0, lanesFrom(0));
  const number = k.laneId.and(lanesAtOnce - 1);
  for (let i = 0; i < lanesAtOnce - 1; i++) {
    const next = step(own, k.shuffle(taken, k.laneId.sub(number).add(i)));
    own.set(k.select(number.gt(i), next, own));
  }
  return own;
}

/** Parts that a request of a lane begins, given the room before it. */
function othersOf(k: Ops, usable: Value<'s32'>, { rest, whole }: Parted): Value<'s32'> {
  return whole.add(k.select<'s32'>(usable.lt(rest), 1, k.constant('s32', 0)));
}

/** Follows the room through the requests in shared memory, leaving what it was before each 32. */
function walkRound(
  k: Builder,
  filling: Filling,
  room: Var<'s32'>,
  count: Value<'u32'>,
  row: Value<'u32'>,
  each: (usable: Value<'s32'>, size: Parted) => void,
): void {
  const sizeOf = (request: Value<'u32'>) =>
    parted(k, filling, k.shared.blocks.at(request.add(k.laneId)).load());
  const first = sizeOf(k.constant('u32', 0));
  const rest = k.var('s32', first.rest);
  const whole = k.var('s32', first.whole);
  k.for({ to: count, step: 32, name: 'group', uniform: true, unroll: false }, (from) => {
    k.if(k.laneId.eq(0), () => k.shared.rooms.at(row, from.shr(5)).store(room));
    // On their way while this group's are followed.
    const next = sizeOf(from.add(32).min(count.sub(1).and(mostThreads - 32)));
    const before = walk(k, filling, room, rest, count.sub(from));
    each(before.sub(filling.overhead).max(0), { rest, whole });
    rest.set(next.rest);
    whole.set(next.whole);
  });
}

/** Puts the blocks of a round's requests into shared memory, where the only round's are already. */
function stageRound(
  k: Builder,
  p: Params,
  threads: number,
  blocksOf: BlocksOf,
  first: Value<'u32'>,
): void {
  k.if(
    p.batch.gt(threads),
    () => {
      const request = first.add(k.threadIdx.x);
      const blocks = k.var('s32', 0);
      k.if(request.lt(p.batch), () => blocks.set(blocksOf(request)));
      k.barrier();
      k.shared.blocks.at(k.threadIdx.x).store(blocks);
      k.barrier();
    },
    { uniform: true },
  );
}

/**
 * What a part may cost: every warp tries one cost from the lowest on, and the least with which the parts
 * suffice counts. There are no more costs than warps, and the highest always suffices.
 */
function leastCost(
  k: Builder,
  p: Params,
  threads: number,
  blocksOf: BlocksOf,
  lowest: Value<'s32'>,
  highest: Value<'s32'>,
): Value<'s32'> {
  const cost = lowest.add(k.warpId.as('s32')).named('cost');
  const most = mostOf(cost.min(highest), p.overheadBlocks);
  const inverse = k.constant('u32', 0xffffffff).div(most);
  const filling = { most, inverse, overhead: p.overheadBlocks };
  // A part of which nothing is left is where the first request begins: one that is not counted.
  const room = k.var('s32', 0).named('room');
  const parts = k.var('s32', 0).named('parts');
  k.for({ to: p.batch, step: threads, name: 'round', uniform: true }, (first) => {
    stageRound(k, p, threads, blocksOf, first);
    k.if(
      cost.le(highest),
      () => {
        const count = p.batch.sub(first).min(threads);
        walkRound(k, filling, room, count, k.warpId, (usable, size) => {
          parts.addTo(othersOf(k, usable, size));
        });
      },
      { uniform: true },
    );
  });
  const suffices = cost.lt(highest).and(k.reduce('add', parts).le(p.numParts.as('s32')));
  k.barrier();
  k.if(k.laneId.eq(0), () => {
    k.shared.warpSums.at(0, k.warpId).store(k.select(suffices, cost, highest));
    k.shared.warpSums.at(1, k.warpId).store(inverse.as('s32'));
  });
  k.barrier();
  return k.reduce('min', ofWarps(k, threads, 0, highest));
}

/**
 * Writes the parts, every thread what its own request decides: where parts begin in it and where they
 * end in it or after it. The room before each warp's requests is known from trying the cost; beyond one
 * round a warp goes through them again.
 * @returns how many parts were begun.
 */
function fill(
  k: Builder,
  p: Params,
  threads: number,
  blocksOf: BlocksOf,
  payload: Value<'s32'>,
  tried: Value<'s32'>,
): Value<'s32'> {
  const { overheadBlocks: overhead, metadata, numSplits, batch } = p;
  const inverse = k.shared.warpSums.at(1, tried).load().as('u32');
  const filling = { most: mostOf(payload, overhead), inverse, overhead };
  const most = filling.most.as('s32');
  const begin = (
    part: Value<'s32'>,
    request: Value<'s32'>,
    block: Value<'s32'>,
    split: Value<'s32'>,
    flag: Value<'s32'>,
  ) => {
    const row = partRow(metadata, part);
    row('beginRequest').store(request);
    row('beginBlock').store(block);
    row('beginSplit').store(split);
    row('beginIsSplit').store(flag);
    row('unused').store(0);
  };
  const end = (
    part: Value<'s32'>,
    request: Value<'s32'>,
    block: Value<'s32'>,
    flag: Value<'s32'>,
  ) => {
    const row = partRow(metadata, part);
    row('endRequest').store(request);
    row('endBlock').store(block);
    row('endIsSplit').store(flag);
  };
  const one = k.constant('s32', 1);
  const isTrue = (condition: Value<'pred'>) => k.select<'s32'>(condition, 1, k.constant('s32', 0));

  const partsBefore = k.var('s32', 0);
  const splitsBefore = k.var('s32', 0);
  const roundRoom = k.var('s32', 0);
  k.for({ to: batch, step: threads, name: 'round', uniform: true }, (first) => {
    const count = batch.sub(first).min(threads);
    const row = k.var('u32', tried.as('u32'));
    stageRound(k, p, threads, blocksOf, first);
    k.if(
      batch.gt(threads),
      () => {
        row.set(0);
        k.if(
          k.warpId.eq(0),
          () => walkRound(k, filling, roundRoom, count, k.constant('u32', 0), () => {}),
          { uniform: true },
        );
        k.barrier();
      },
      { uniform: true },
    );
    const request = first.add(k.threadIdx.x).as('s32');
    const size = k.shared.blocks.at(k.threadIdx.x).load();
    const firstOfWarp = k.threadIdx.x.sub(k.laneId);
    const hasWork = k.shuffle(firstOfWarp, 0).lt(count);
    const usable = k.var('s32', 0);
    const others = k.var('s32', 0);
    k.if(
      hasWork,
      () => {
        const room = k.var('s32', k.shared.rooms.at(row, k.warpId).load());
        const each = parted(k, filling, size);
        const before = walk(k, filling, room, each.rest, count.sub(firstOfWarp));
        usable.set(before.sub(overhead).max(0));
        others.set(othersOf(k, usable, each));
      },
      { uniform: true },
    );
    const isRequest = k.threadIdx.x.lt(count);
    const startsInside = isTrue(usable.gt(0));
    const pieces = k.select<'s32'>(isRequest, others.add(startsInside), 0);
    const [begun, splits] = ctaSums(k, threads, [others, pieces]) as [Sum, Sum];
    /** The part in which the request before ended. */
    const part = partsBefore.add(begun.before).sub(1);
    const isSplit = isTrue(pieces.gt(1));
    const room = usable.sub(size).add(others.mul(most));
    k.if(isRequest, () => {
      numSplits.at(request).at(1).store(splitsBefore.add(splits.before).add(pieces));
      k.if(others.gt(0), () => {
        k.if(usable.gt(0), () => end(part, request, usable, one));
        begin(part.add(1), request, usable, startsInside, isSplit);
      });
      k.if(room.le(overhead).or(request.add(1).eq(batch.as('s32'))), () => {
        end(part.add(others), request, size, isSplit);
      });
    });
    k.if(
      hasWork,
      () => {
        k.section('cuts inside requests, one by each lane', () => {
          const cuts = others.sub(1).max(0);
          const upTo = warpSumUpTo(k, cuts);
          const all = k.shuffle(upTo, 31);
          k.for({ from: k.constant('s32', 0), to: all, step: 32, uniform: true }, (from) => {
            const cut = from.add(k.laneId.as('s32'));
            /** The lane whose request it cuts. */
            const owner = k.var('u32', 0);
            for (const distance of [16, 8, 4, 2, 1]) {
              const below = k.shuffle(upTo, owner.add(distance - 1)).le(cut);
              owner.set(k.select(below, owner.add(distance), owner));
            }
            const of = (v: Value<'s32'>) => k.shuffle(v, owner);
            const number = cut.sub(of(upTo.sub(cuts))).add(1);
            const block = k.mad(number, most, of(usable));
            const split = number.add(of(startsInside));
            const [cutRequest, ends] = [of(request), of(part).add(number)];
            k.if(cut.lt(all), () => {
              end(ends, cutRequest, block, one);
              begin(ends.add(1), cutRequest, block, split, one);
            });
          });
        });
      },
      { uniform: true },
    );
    partsBefore.addTo(begun.total);
    splitsBefore.addTo(splits.total);
  });
  return partsBefore;
}
