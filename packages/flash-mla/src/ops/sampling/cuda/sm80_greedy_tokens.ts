import {
  defineKernel,
  field,
  global,
  type Kernel,
  type Ops,
  type ParamDecls,
  type Value,
} from '@flash-mla/ptx';
import { beginOverlapped } from '../../kernel-lib/cuda/overlap.ts';
import { loadOne, type RowDType } from '../../kernel-lib/cuda/rows/columns.ts';
import {
  lowest,
  type RestrictionConfig,
  restrictionParams,
  restrictionsOf,
} from './restrictions.ts';

/** What the code depends on. */
export interface GreedyConfig extends RestrictionConfig {
  readonly logits: RowDType;
}

const params = {
  ...restrictionParams,
  logits: global('u8'),
  tokens: global('u32'),
  logprobs: global('f32'),
  /** Bytes between rows of logits. */
  stride: 'u64',
} as const satisfies ParamDecls;

export type GreedyParams = typeof params;

const warps = 16;
const threads = warps * 32;
const nowhere = 0x7fffffff;

/** The best score so far and its token; the largest logit, and the sum of powers below it. */
interface Found {
  readonly score: Value<'f32'>;
  readonly token: Value<'u32'>;
  readonly most: Value<'f32'>;
  readonly sum: Value<'f32'>;
}

/** A CTA takes a row and reads it once; partial results are merged in a fixed order. */
export function buildGreedyTokens(config: GreedyConfig): Kernel<GreedyParams> {
  const options = {
    ...{ name: 'sm80_greedy_tokens', params, block: [threads] as const },
    shared: {
      score: field('f32', [warps]),
      token: field('u32', [warps]),
      most: field('f32', [warps]),
      sum: field('f32', [warps]),
    },
  };
  return defineKernel(options, (k, p) => {
    beginOverlapped(k);
    const row = k.blockIdx.x.named('row');
    const logits = p.logits.bytes(k.widen(row).mul(p.stride));
    const size = config.logits === 'f32' ? 4 : 2;
    const own = {
      score: k.var('f32', lowest),
      token: k.var('u32', nowhere),
      most: k.var('f32', lowest),
      sum: k.var('f32', 0),
    };
    const scoreOf = restrictionsOf(k, config, p, row);

    k.for({ from: k.threadIdx.x, to: p.vocabulary, step: threads, unroll: false }, (token) => {
      const logit = loadOne(logits.bytes(k.widen(token).mul(size)), config.logits);
      const most = own.most.max(logit);
      const scaled = own.sum.mul(power(k, own.most.sub(most)));
      const added = k.select(logit.eq(lowest), 0, power(k, logit.sub(most)), 'f32');
      own.sum.set(k.select(most.eq(lowest), 0, scaled.add(added), 'f32'));
      own.most.set(most);

      const score = scoreOf(logit, token);
      const better = score.gt(own.score);
      own.token.set(k.select(better, token, own.token));
      own.score.set(k.select(better, score, own.score));
    });

    let found: Found = own;
    for (let distance = 16; distance >= 1; distance /= 2) {
      const other: Found = {
        score: k.shuffleXor(found.score, distance),
        token: k.shuffleXor(found.token, distance),
        most: k.shuffleXor(found.most, distance),
        sum: k.shuffleXor(found.sum, distance),
      };
      found = merge(k, found, other);
    }
    k.if(k.laneId.eq(0), () => {
      for (const name of ['score', 'most', 'sum'] as const) {
        k.shared[name].at(k.warpId).store(found[name]);
      }
      k.shared.token.at(k.warpId).store(found.token);
    });
    k.barrier();
    k.if(k.threadIdx.x.eq(0), () => {
      const parts = Array.from({ length: warps }, (_, w) => ({
        ...{ score: k.shared.score.at(w).load(), token: k.shared.token.at(w).load() },
        ...{ most: k.shared.most.at(w).load(), sum: k.shared.sum.at(w).load() },
      }));
      const { token, most, sum } = parts.reduce((a: Found, b: Found) => merge(k, a, b));
      // All tokens are impossible: 0.
      const chosen = k.select(token.eq(nowhere), 0, token, 'u32');
      p.tokens.at(row).store(chosen);
      const logit = loadOne(logits.bytes(k.widen(chosen).mul(size)), config.logits);
      const parted = k.select(sum.gt(0), k.lg2(sum), lowest, 'f32').mul(Math.LN2);
      p.logprobs.at(row).store(logit.sub(most).sub(parted));
    });
  });
}

/** e^x for x that is not above 0. */
const power = (k: Ops, x: Value<'f32'>) => k.ex2(x.mul(Math.LOG2E));

/** Of equal scores the lower token. */
function merge(k: Ops, a: Found, b: Found): Found {
  const better = b.score.gt(a.score).or(b.score.eq(a.score).and(b.token.lt(a.token)));
  const most = a.most.max(b.most);
  const part = ({ most: own, sum }: Found) =>
    k.select(own.eq(lowest), 0, sum.mul(power(k, own.sub(most))), 'f32');
  return {
    score: k.select(better, b.score, a.score),
    token: k.select(better, b.token, a.token),
    ...{ most, sum: part(a).add(part(b)) },
  };
}
