import {
  defineKernel,
  field,
  global,
  type Kernel,
  type Ops,
  type ParamDecls,
  segmentSum,
  type Value,
  type Var,
} from '@flash-mla/ptx';
import { beginOverlapped } from '../../kernel-lib/cuda/overlap.ts';
import { loadOne, type RowDType } from '../../kernel-lib/cuda/rows/columns.ts';
import { keyOf, randomAt, scoreOf } from './order.ts';
import {
  lowest,
  type RestrictionConfig,
  restrictionParams,
  restrictionsOf,
} from './restrictions.ts';

/** What the code of drawing tokens depends on. */
export interface DrawConfig extends RestrictionConfig {
  readonly logits: RowDType;
  readonly hasTemperature: boolean;
  readonly hasTopK: boolean;
  readonly hasTopP: boolean;
  readonly hasMinP: boolean;
  readonly hasTop: boolean;
}

const params = {
  ...restrictionParams,
  logits: global('u8'),
  temperature: global('f32'),
  topK: global('s32'),
  topP: global('f32'),
  minP: global('f32'),
  /** i64 (rows), as pairs of words. */
  seeds: global('u32'),
  positions: global('u32'),
  tokens: global('u32'),
  logprobs: global('f32'),
  topTokens: global('u32'),
  topLogprobs: global('f32'),
  numTop: 'u32',
  /** Scratch (rows, vocabulary): scores in the order of unsigned numbers. */
  keys: global('u32'),
  /** Bytes between rows of logits. */
  stride: 'u64',
} as const satisfies ParamDecls;

export type DrawParams = typeof params;

const warps = 8;
export const drawThreads = warps * 32;
/** Digits of a key are looked at from the highest to the lowest, so many bits at a time. */
const digitBits = 5;
const bins = 2 ** digitBits;
const binsOfWarp = bins / warps;
/** Tokens are below 2^25. */
const tokenBits = 25;
const mostToken = 2 ** tokenBits - 1;
export const mostVocabulary = 2 ** tokenBits;

/** Where a walk through elements in falling order has come to. */
interface Place {
  readonly key: Value<'u32'>;
  /** Weight and number of the elements before those with this key, and how many have it. */
  readonly mass: Value<'f32'>;
  readonly count: Value<'u32'>;
  readonly ties: Value<'u32'>;
}

interface Element {
  readonly key: Value<'u32'>;
  readonly weight: Value<'f32'>;
  readonly isThere: Value<'pred'>;
}

/**
 * A CTA takes a row. What top k, top p and a random number choose is a place in the order of falling scores,
 * where a sum of weights or a count passes a bound. The place is found digit by digit of the scores: every
 * thread adds up its own tokens by digit, sums of threads are added in a fixed order, so a row always gives
 * the same token. Nothing is sorted.
 */
export function buildDrawTokens(config: DrawConfig): Kernel<DrawParams> {
  const options = {
    ...{ name: 'sm80_draw_tokens', params, block: [drawThreads] as const },
    shared: {
      mass: field('f32', [bins * drawThreads]),
      count: field('u32', [bins * drawThreads]),
      binMass: field('f32', [bins]),
      binCount: field('u32', [bins]),
      ofWarp: field('f32', [warps]),
      keyOfWarp: field('u32', [warps]),
      tokenOfWarp: field('u32', [warps]),
      sumOfWarp: field('f32', [warps]),
    },
  };
  return defineKernel(options, (k, p) => {
    beginOverlapped(k);
    const thread = k.threadIdx.x;
    const row = k.blockIdx.x.named('row');
    const logits = p.logits.bytes(k.widen(row).mul(p.stride));
    const size = config.logits === 'f32' ? 4 : 2;
    const logitOf = (token: Value<'u32'>) =>
      loadOne(logits.bytes(k.widen(token).mul(size)), config.logits);
    const keys = p.keys.at(k.mulWide(row, p.vocabulary));
    /** A thread sees the same tokens every time, so nothing has to be waited for. */
    const eachToken = (body: (token: Value<'u32'>) => void) =>
      k.for(
        { from: thread, to: p.vocabulary, step: drawThreads, unroll: false, name: 'token' },
        body,
      );

    /** The same sum in all threads. */
    const sumOfAll = (own: Value<'f32'>): Value<'f32'> => {
      const ofWarp = segmentSum(k, own);
      k.barrier();
      k.if(k.laneId.eq(0), () => k.shared.ofWarp.at(k.warpId).store(ofWarp));
      k.barrier();
      const parts = Array.from({ length: warps }, (_, w) => k.shared.ofWarp.at(w).load());
      return parts.reduce((a, b) => a.add(b));
    };
    /** The largest key, of equals the lowest token: the same in all threads. */
    const bestOfAll = (key: Value<'u32'>, token: Value<'u32'>) => {
      let own = { key, token };
      for (let distance = 16; distance >= 1; distance /= 2) {
        own = better(k, own, {
          key: k.shuffleXor(own.key, distance),
          token: k.shuffleXor(own.token, distance),
        });
      }
      k.barrier();
      k.if(k.laneId.eq(0), () => {
        k.shared.keyOfWarp.at(k.warpId).store(own.key);
        k.shared.tokenOfWarp.at(k.warpId).store(own.token);
      });
      k.barrier();
      return Array.from({ length: warps }, (_, w) => ({
        ...{ key: k.shared.keyOfWarp.at(w).load(), token: k.shared.tokenOfWarp.at(w).load() },
      })).reduce((a, b) => better(k, a, b));
    };

    const { best, normalizer } = k.section('scores', () => {
      const scoresOf = restrictionsOf(k, config, p, row);
      const bestKey = k.var('u32', 0);
      const bestLogit = k.var('f32', lowest);
      eachToken((token) => {
        const logit = logitOf(token);
        bestLogit.set(bestLogit.max(logit));
        const key = keyOf(k, scoresOf(logit, token));
        keys.at(token).store(key);
        bestKey.set(bestKey.max(key));
      });
      const found = bestOfAll(bestKey, k.constant('u32', 0));
      const most = bestOfAll(keyOf(k, bestLogit), k.constant('u32', 0));
      const isPossible = most.key.ne(0);
      const largest = k.select(isPossible, scoreOf(k, most.key), 0, 'f32');
      const sum = k.var('f32', 0);
      eachToken((token) => sum.addTo(k.ex2(logitOf(token).sub(largest).mul(Math.LOG2E))));
      const all = sumOfAll(sum);
      return { best: found.key, normalizer: largest.add(k.lg2(all).mul(Math.LN2)) };
    });

    /** Finds the place where what has been passed `reaches` a bound; at last the lowest element. */
    const find = (
      bits: number,
      elementOf: (token: Value<'u32'>) => Element,
      reaches: (mass: Value<'f32'>, count: Value<'u32'>) => Value<'pred'>,
    ): Place => {
      const [prefix, mask] = [k.var('u32', 0), k.var('u32', 0)];
      const shift = k.var('u32', bits - digitBits);
      const digitMask = k.var('u32', bins - 1);
      const [mass, count, ties] = [k.var('f32', 0), k.var('u32', 0), k.var('u32', 0)];
      const passes = Math.ceil(bits / digitBits);
      k.for({ to: passes, unroll: false, uniform: true, name: 'digit' }, () => {
        for (let b = 0; b < bins; b++) {
          k.shared.mass.at(thread.add(b * drawThreads)).store(0);
          k.shared.count.at(thread.add(b * drawThreads)).store(0);
        }
        eachToken((token) => {
          const { key, weight, isThere } = elementOf(token);
          k.if(isThere.and(key.xor(prefix).and(mask).eq(0)), () => {
            const at = k.mad(key.shr(shift).and(digitMask), drawThreads, thread);
            k.shared.mass.at(at).store(k.shared.mass.at(at).load().add(weight));
            k.shared.count.at(at).store(k.shared.count.at(at).load().add(1));
          });
        });
        k.barrier();
        for (let i = 0; i < binsOfWarp; i++) {
          const b = k.warpId.mul(binsOfWarp).add(i);
          const place = k.mad(b, drawThreads, k.laneId);
          const parts = Array.from({ length: warps }, (_, w) => place.add(32 * w));
          const ofMass = parts.map((at) => k.shared.mass.at(at).load()).reduce((x, y) => x.add(y));
          const ofCount = parts
            .map((at) => k.shared.count.at(at).load())
            .reduce((x, y) => x.add(y));
          const whole = { mass: segmentSum(k, ofMass), count: countOfWarp(k, ofCount) };
          k.if(k.laneId.eq(0), () => {
            k.shared.binMass.at(b).store(whole.mass);
            k.shared.binCount.at(b).store(whole.count);
          });
        }
        k.barrier();
        const found = k.var('u32', 0);
        const digit = k.var('u32', 0);
        const [passedMass, passedCount] = [k.var('f32', mass), k.var('u32', count)];
        k.for({ to: bins, unroll: false, uniform: true, name: 'bin' }, (i) => {
          const b = k.constant('u32', bins - 1).sub(i);
          const [binMass, binCount] = [
            k.shared.binMass.at(b).load(),
            k.shared.binCount.at(b).load(),
          ];
          k.if(found.eq(0).and(binCount.gt(0)), () => {
            digit.set(b);
            mass.set(passedMass);
            count.set(passedCount);
            ties.set(binCount);
            passedMass.addTo(binMass);
            passedCount.addTo(binCount);
            k.if(reaches(passedMass, passedCount), () => found.set(1));
          });
        });
        prefix.set(prefix.or(digit.shl(shift)));
        mask.set(mask.or(digitMask.shl(shift)));
        const isLast = shift.lt(digitBits);
        digitMask.set(k.select(isLast, k.constant('u32', 1).shl(shift).sub(1), digitMask));
        shift.set(k.select(isLast, 0, shift.sub(digitBits), 'u32'));
      });
      return { key: prefix, mass, count, ties };
    };

    const target = k.var('u32', best);
    const tie = k.var('u32', 0);
    if (config.hasTemperature) {
      const temperature = p.temperature.at(row).load();
      k.if(temperature.gt(0).and(best.ne(0)), () => draw(temperature), { uniform: true });
    }
    const token = k.section('token', () => {
      const place = find(
        tokenBits,
        (t) => ({
          key: k.constant('u32', mostToken).sub(t),
          ...{ weight: k.constant('f32', 0), isThere: keys.at(t).load().eq(target) },
        }),
        (_, count) => count.gt(tie),
      );
      return k.constant('u32', mostToken).sub(place.key);
    });
    k.if(thread.eq(0), () => {
      p.tokens.at(row).store(token);
      p.logprobs.at(row).store(logitOf(token).sub(normalizer));
    });
    if (config.hasTop) k.section('likeliest', likeliest);

    /** Sets `target` and `tie`: the score that is drawn, and which of the tokens that have it. */
    function draw(temperature: Value<'f32'>): void {
      const factor = k.divRn(k.constant('f32', Math.LOG2E), temperature);
      const top = scoreOf(k, best);
      const weightOf = (key: Value<'u32'>) => k.ex2(scoreOf(k, key).sub(top).mul(factor));
      const elementOf = (t: Value<'u32'>): Element => {
        const key = keys.at(t).load();
        return { key, weight: weightOf(key), isThere: key.ne(0) };
      };
      /** The weights of elements, of all threads. */
      const massOf = (counts: (element: Element) => Value<'pred'>) => {
        const own = k.var('f32', 0);
        eachToken((t) => {
          const element = elementOf(t);
          const isCounted = element.isThere.and(counts(element));
          own.addTo(k.select(isCounted, element.weight, 0, 'f32'));
        });
        return sumOfAll(own);
      };
      // All that restricts keeps a beginning of the same order: its weight says which.
      const kept: Var<'f32'> = k.var(
        'f32',
        massOf(({ isThere }) => isThere),
      );
      if (config.hasTopK) {
        const topK = p.topK.at(row).load();
        k.if(
          topK.gt(0),
          () => {
            const bound = topK.as('u32');
            const place = find(32, elementOf, (_, count) => count.ge(bound));
            const taken = bound.sub(place.count).min(place.ties);
            kept.set(kept.min(k.fma(k.toF32(taken), weightOf(place.key), place.mass)));
          },
          { uniform: true },
        );
      }
      if (config.hasTopP) {
        const topP = p.topP.at(row).load();
        k.if(
          topP.lt(1),
          () => {
            const bound = topP.mul(kept).named('bound');
            const place = find(32, elementOf, (mass) => mass.ge(bound));
            const weight = weightOf(place.key);
            const wanted = k.round(k.divRn(bound.sub(place.mass), weight), 'up');
            const taken = wanted.max(1).min(k.toF32(place.ties));
            kept.set(kept.min(k.fma(taken, weight, place.mass)));
          },
          { uniform: true },
        );
      }
      if (config.hasMinP) {
        const minP = p.minP.at(row).load();
        k.if(
          minP.gt(0),
          () => {
            // The likeliest one, of weight 1, always stays.
            const above = massOf(({ weight }) => weight.ge(minP)).max(1);
            kept.set(kept.min(above));
          },
          { uniform: true },
        );
      }
      const [low, high] = p.seeds.at(k.mulWide(row, 2)).loadVec(2);
      const random = randomAt(k, [low, high], p.positions.at(row).load());
      const rest = random.mul(kept).named('rest');
      const place = find(32, elementOf, (mass) => mass.gt(rest));
      target.set(place.key);
      const passed = k.toU32(k.divRn(rest.sub(place.mass), weightOf(place.key)).max(0));
      tie.set(passed.min(place.ties.sub(1)));
    }

    /** Tokens by falling logit, one pass for each. */
    function likeliest(): void {
      const lastKey = k.var('u32', 0xffffffff);
      const lastToken = k.var('u32', 0);
      k.for({ to: p.numTop, unroll: false, uniform: true, name: 'rank' }, (rank) => {
        const own = { key: k.var('u32', 0), token: k.var('u32', mostToken) };
        eachToken((t) => {
          const key = keyOf(k, logitOf(t));
          const isAfter = key.lt(lastKey).or(key.eq(lastKey).and(t.gt(lastToken)));
          const isBetter = isAfter.and(key.gt(own.key));
          own.token.set(k.select(isBetter, t, own.token));
          own.key.set(k.select(isBetter, key, own.key));
        });
        const found = bestOfAll(own.key, own.token);
        const isThere = found.key.ne(0);
        k.if(thread.eq(0), () => {
          const at = k.mulWide(row, p.numTop);
          const logprob = scoreOf(k, found.key).sub(normalizer);
          p.topTokens
            .at(at)
            .at(rank)
            .store(k.select(isThere, found.token, 0, 'u32'));
          p.topLogprobs
            .at(at)
            .at(rank)
            .store(k.select(isThere, logprob, 0, 'f32'));
        });
        lastKey.set(found.key);
        lastToken.set(found.token);
      });
    }
  });
}

interface Candidate {
  readonly key: Value<'u32'>;
  readonly token: Value<'u32'>;
}

function better(k: Ops, a: Candidate, b: Candidate): Candidate {
  const isB = b.key.gt(a.key).or(b.key.eq(a.key).and(b.token.lt(a.token)));
  return { key: k.select(isB, b.key, a.key), token: k.select(isB, b.token, a.token) };
}

function countOfWarp(k: Ops, own: Value<'u32'>): Value<'u32'> {
  let sum = own;
  for (let distance = 16; distance >= 1; distance /= 2) sum = sum.add(k.shuffleXor(sum, distance));
  return sum;
}
