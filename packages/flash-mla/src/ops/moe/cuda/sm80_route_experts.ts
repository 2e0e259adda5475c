import {
  defineKernel,
  field,
  global,
  type Kernel,
  type Ops,
  type ParamDecls,
  segmentMax,
  segmentSum,
  type Value,
} from '@flash-mla/ptx';
import { beginOverlapped } from '../../kernel-lib/cuda/overlap.ts';
import { loadOne, type RowDType } from '../../kernel-lib/cuda/rows/columns.ts';

/** What the code depends on: all of it is a model's. */
export interface RouteConfig {
  readonly experts: number;
  /** Those that are chosen, and those behind them that every row passes. */
  readonly topK: number;
  readonly sharedExperts: number;
  readonly scoring: 'softmax' | 'sigmoid';
  readonly groups: number;
  readonly topGroups: number;
  readonly groupScore: 'max' | 'top2';
  readonly normalize: boolean;
  readonly hasBias: boolean;
  readonly logits: RowDType;
}

const params = {
  logits: global('u8'),
  bias: global('f32'),
  experts: global('u32'),
  weights: global('f32'),
  /** Bytes between rows of logits. */
  stride: 'u64',
  scale: 'f32',
} as const satisfies ParamDecls;

export type RouteParams = typeof params;

const lowest = Number.NEGATIVE_INFINITY;
const nowhere = 0x7fffffff;

/** A number and where it stands. */
interface Placed {
  readonly value: Value<'f32'>;
  readonly index: Value<'u32'>;
}

/** A warp takes a row; a lane has every 32nd expert. */
export function buildRouteExperts(config: RouteConfig): Kernel<RouteParams> {
  const { experts, topK, sharedExperts, scoring, groups, topGroups, normalize, hasBias, logits } =
    config;
  const perLane = Math.ceil(experts / 32);
  const options = {
    ...{ name: 'sm80_route_experts', params, block: [32] as const },
    shared: { choice: field('f32', [experts]) },
  };
  return defineKernel(options, (k, p) => {
    beginOverlapped(k);
    const row = k.widen(k.blockIdx.x);
    const own = Array.from({ length: perLane }, (_, i) => k.laneId.add(32 * i));
    const given = own.map((e) => {
      const value = k.var('f32', lowest);
      k.if(e.lt(experts), () => {
        const size = logits === 'f32' ? 4 : 2;
        value.set(loadOne(p.logits.bytes(row.mul(p.stride)).bytes(k.widen(e).mul(size)), logits));
      });
      return value;
    });
    const scores = k.section('scores', () => scoresOf(k, scoring, given));
    const choice = scores.map((score, i) => {
      const e = own[i] as Value<'u32'>;
      const value = k.var('f32', lowest);
      k.if(e.lt(experts), () => value.set(hasBias ? score.add(p.bias.at(e).load()) : score));
      return value;
    });
    if (topGroups < groups) {
      k.section('groups', () => {
        own.forEach((e, i) => {
          k.if(e.lt(experts), () => k.shared.choice.at(e).store(choice[i] as Value<'f32'>));
        });
        k.syncWarp();
        maskGroups(k, config, (e) => k.shared.choice.at(e));
        k.syncWarp();
        own.forEach((e, i) => {
          k.if(e.lt(experts), () => choice[i]?.set(k.shared.choice.at(e).load()));
        });
      });
    }

    k.section('choice', () => {
      const [mine, weight, sum] = [k.var('u32', 0), k.var('f32', 0), k.var('f32', 1e-20)];
      for (let rank = 0; rank < topK; rank++) {
        const local = choice.reduce<Placed>(
          (best, value, i) => {
            const better = value.gt(best.value);
            return {
              value: k.select(better, value, best.value),
              index: k.select(better, own[i] as Value<'u32'>, best.index),
            };
          },
          { value: k.constant('f32', lowest), index: k.constant('u32', nowhere) },
        );
        const { index } = bestOfWarp(k, local);
        // Nothing but NaN and −inf: any expert is as good as any other.
        const winner = k.select(index.eq(nowhere), 0, index, 'u32');
        const parts = scores.map((score, i) => {
          const isWinner = (own[i] as Value<'u32'>).eq(winner);
          choice[i]?.set(k.select(isWinner, lowest, choice[i] as Value<'f32'>, 'f32'));
          return k.select(isWinner, score, 0, 'f32');
        });
        const score = segmentSum(
          k,
          parts.reduce((a, b) => a.add(b)),
        );
        sum.set(sum.add(score));
        const isMine = k.laneId.eq(rank);
        mine.set(k.select(isMine, winner, mine));
        weight.set(k.select(isMine, score, weight));
      }
      const places = topK + sharedExperts;
      k.if(k.laneId.lt(places), () => {
        const at = row.mul(places);
        const part = (normalize ? k.divRn(weight, sum) : weight).mul(p.scale);
        const isChosen = k.laneId.lt(topK);
        const shared = k.laneId.add(experts - topK);
        p.experts
          .at(at)
          .at(k.laneId)
          .store(k.select(isChosen, mine, shared));
        p.weights
          .at(at)
          .at(k.laneId)
          .store(k.select(isChosen, part, 1, 'f32'));
      });
    });
  });
}

function scoresOf(
  k: Ops,
  scoring: RouteConfig['scoring'],
  logits: readonly Value<'f32'>[],
): Value<'f32'>[] {
  if (scoring === 'sigmoid') {
    return logits.map((logit) => k.rcpRn(k.ex2(logit.mul(-Math.LOG2E)).add(1)));
  }
  const most = segmentMax(
    k,
    logits.reduce((a, b) => a.max(b)),
  );
  const powers = logits.map((logit) => k.ex2(logit.sub(most).mul(Math.LOG2E)));
  const sum = segmentSum(
    k,
    powers.reduce((a, b) => a.add(b)),
  );
  return powers.map((power) => k.divRn(power, sum));
}

/** Takes the experts of all but the best groups out of the choice; a lane looks at a group. */
function maskGroups(
  k: Ops,
  { experts, groups, topGroups, groupScore }: RouteConfig,
  at: (e: Value<'u32'>) => { load(): Value<'f32'>; store(value: number): void },
): void {
  const size = experts / groups;
  const isGroup = k.laneId.lt(groups);
  const begin = k.laneId.mul(size);
  const [first, second] = [k.var('f32', lowest), k.var('f32', lowest)];
  k.if(isGroup, () => {
    k.for({ to: size, unroll: false }, (i) => {
      const value = at(begin.add(i)).load();
      second.set(second.max(first.min(value)));
      first.set(first.max(value));
    });
  });
  const isSum = groupScore === 'top2' && size > 1;
  const score = k.var('f32', lowest);
  k.if(isGroup, () => score.set(isSum ? first.add(second) : first));
  const kept = k.var('u32', 0);
  for (let i = 0; i < topGroups; i++) {
    const { index } = bestOfWarp(k, { value: score, index: k.laneId });
    const isBest = k.laneId.eq(index);
    kept.set(k.select(isBest, 1, kept, 'u32'));
    score.set(k.select(isBest, lowest, score, 'f32'));
  }
  k.if(isGroup.and(kept.eq(0)), () => {
    k.for({ to: size, unroll: false }, (i) => at(begin.add(i)).store(lowest));
  });
}

/** The largest of the lanes' numbers, of equals the one with the lowest index; all lanes get it. */
function bestOfWarp(k: Ops, own: Placed): Placed {
  let { value, index } = own;
  for (let distance = 16; distance >= 1; distance /= 2) {
    const [otherValue, otherIndex] = [k.shuffleXor(value, distance), k.shuffleXor(index, distance)];
    const better = otherValue.gt(value).or(otherValue.eq(value).and(otherIndex.lt(index)));
    value = k.select(better, otherValue, value);
    index = k.select(better, otherIndex, index);
  }
  return { value, index };
}
