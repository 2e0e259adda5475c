import {
  defineKernel,
  field,
  global,
  type Kernel,
  type Ops,
  type ParamDecls,
  type Pointer,
  type Value,
} from '@flash-mla/ptx';
import { beginOverlapped } from '../../kernel-lib/cuda/overlap.ts';
import {
  columnsPerThread,
  loadColumns,
  loadOne,
  type RowDType,
  type RowLayout,
} from '../../kernel-lib/cuda/rows/columns.ts';
import { presenceIn } from '../../kernel-lib/cuda/rows/weights.ts';
import {
  lowest,
  type RestrictionConfig,
  restrictionParams,
  restrictionsOf,
} from './restrictions.ts';

/** What the code depends on. */
export interface GreedyConfig extends RestrictionConfig {
  readonly logits: RowLayout<RowDType>;
  /** Whether rows end with eight logits. */
  readonly wholeUnits: boolean;
}

const params = {
  ...restrictionParams,
  logits: global('u8'),
  tokens: global('u32'),
  logprobs: global('f32'),
  /** What parts of rows have found: (rows, parts, 4). */
  partials: global('f32'),
  /** Parts of each row that have ended: (rows), 0 at first and at the end. */
  arrivals: global('u32'),
  /** Tokens of a part. */
  perPart: 'u32',
  /** Bytes between rows of logits. */
  stride: 'u64',
} as const satisfies ParamDecls;

export type GreedyParams = typeof params;

const warps = 8;
const threads = warps * 32;
const nowhere = 0x7fffffff;
/** Units of eight logits that a thread loads at a time. */
const unitsAtOnce = 2;
/** Tokens that a CTA looks at in one round. */
const tokensOfRound = threads * columnsPerThread * unitsAtOnce;
/** Parts of a row: a lane each of the warp that merges them. */
const mostParts = 32;

/** The best score so far and its token; the largest logit, and the sum of powers below it. */
interface Found {
  readonly score: Value<'f32'>;
  readonly token: Value<'u32'>;
  readonly most: Value<'f32'>;
  readonly sum: Value<'f32'>;
}

/** How rows are cut into parts: enough CTAs for the GPU, none without a whole round. */
export function partsOf(rows: number, vocabulary: number, smCount: number) {
  const rounds = Math.max(1, Math.ceil(vocabulary / tokensOfRound));
  const wanted = Math.min(mostParts, rounds, Math.ceil((2 * smCount) / rows));
  const perPart = Math.ceil(rounds / wanted) * tokensOfRound;
  return { perPart, parts: Math.max(1, Math.ceil(vocabulary / perPart)) };
}

/**
 * A CTA takes a part of a row and reads it once. The last one of a row merges what all have found, in a
 * fixed order. Grid: (rows, parts).
 */
export function buildGreedyTokens(config: GreedyConfig): Kernel<GreedyParams> {
  const { logits: layout, wholeUnits } = config;
  const options = {
    ...{ name: 'sm80_greedy_tokens', params, block: [threads] as const },
    shared: { found: field('f32', [warps, 4]), isLast: field('u32', [1]) },
  } as const;
  const size = layout.dtype === 'f32' ? 4 : 2;
  return defineKernel(options, (k, p) => {
    beginOverlapped(k);
    const row = k.blockIdx.x.named('row');
    const [part, parts] = [k.blockIdx.y, k.gridDim.y];
    const logits = p.logits.bytes(k.widen(row).mul(p.stride));
    const end = part.add(1).mul(p.perPart).min(p.vocabulary).named('end');
    const own = {
      score: k.var('f32', lowest),
      token: k.var('u32', nowhere),
      most: k.var('f32', lowest),
      sum: k.var('f32', 0),
    };
    const scoreOf = restrictionsOf(k, config, p, row);
    const isFirst = k.threadIdx.x.eq(0);

    const first = k.mad(k.threadIdx.x, columnsPerThread, part.mul(p.perPart));
    k.for({ from: first, to: end, step: tokensOfRound, unroll: false }, (from) => {
      const units = Array.from({ length: unitsAtOnce }, (_, i) => {
        const unit = from.add(i * threads * columnsPerThread);
        const at = logits.bytes(k.widen(unit).mul(size));
        const presence = presenceIn(unit, end, wholeUnits);
        return { unit, presence, values: loadColumns(k, at, layout, presence) };
      });
      for (const { unit, presence, values } of units) {
        const found = values.map((value, i) => {
          const token = unit.add(i);
          const isThere = wholeUnits ? presence.all : token.lt(end);
          const logit = k.select(isThere, value, lowest, 'f32');
          // What restricts a token is read for each; none is beyond the vocabulary.
          const score = scoreOf(logit, token.min(p.vocabulary.sub(1)));
          const better = isThere.and(score.gt(own.score));
          own.token.set(k.select(better, token, own.token));
          own.score.set(k.select(better, score, own.score));
          return logit;
        });
        const most = found.reduce<Value<'f32'>>((a, b) => a.max(b), own.most);
        const scaled = own.sum.mul(power(k, own.most.sub(most)));
        const sum = found.reduce((a, logit) => a.add(power(k, logit.sub(most))), scaled);
        own.sum.set(k.select(most.eq(lowest), 0, sum, 'f32'));
        own.most.set(most);
      }
    });

    k.section('merge', () => {
      const ofWarp = mergeLanes(k, own);
      k.if(k.laneId.eq(0), () => put(k.shared.found.at(k.warpId, 0), ofWarp));
      k.barrier();
      k.if(isFirst, () => {
        const all = Array.from({ length: warps }, (_, w) => take(k.shared.found.at(w, 0)));
        const ofCta = all.reduce((a, b) => merge(k, a, b));
        const isLast = k.var('u32', 1);
        k.if(
          parts.eq(1),
          () => finish(ofCta),
          () => {
            put(partial(part), ofCta);
            const arrival = p.arrivals.at(row);
            const before = k.atomicAdd(arrival, 1, { order: 'acq_rel', scope: 'gpu' });
            isLast.set(k.select(before.eq(parts.sub(1)), 1, 0, 'u32'));
          },
          { uniform: true },
        );
        k.shared.isLast.at(0).store(isLast);
      });
      k.if(
        parts.gt(1),
        () => {
          k.barrier();
          k.if(k.warpId.eq(0).and(k.shared.isLast.at(0).load().ne(0)), mergeParts);
        },
        { uniform: true },
      );
    });

    function mergeParts(): void {
      const lane = k.laneId;
      const isThere = lane.lt(parts);
      const found = take(partial(lane.min(parts.sub(1))));
      const merged = mergeLanes(k, {
        score: k.select(isThere, found.score, lowest, 'f32'),
        token: k.select(isThere, found.token, nowhere, 'u32'),
        most: k.select(isThere, found.most, lowest, 'f32'),
        sum: k.select(isThere, found.sum, 0, 'f32'),
      });
      k.if(isFirst, () => {
        finish(merged);
        // As the next launch wants to find it.
        p.arrivals.at(row).store(0);
      });
    }

    function partial(index: Value<'u32'>): Pointer<'global', 'f32'> {
      return p.partials.at(k.mulWide(k.mad(row, parts, index), 4));
    }

    function finish({ token, most, sum }: Found): void {
      // All tokens are impossible: 0.
      const chosen = k.select(token.eq(nowhere), 0, token, 'u32');
      p.tokens.at(row).store(chosen);
      const logit = loadOne(logits.bytes(k.widen(chosen).mul(size)), layout.dtype);
      const parted = k.select(sum.gt(0), k.lg2(sum), lowest, 'f32').mul(Math.LN2);
      p.logprobs.at(row).store(logit.sub(most).sub(parted));
    }
  });
}

function put(to: Pointer<'global' | 'shared', 'f32'>, { score, token, most, sum }: Found): void {
  to.storeVec([score, token.as('f32'), most, sum]);
}

function take(from: Pointer<'global' | 'shared', 'f32'>): Found {
  const [score, token, most, sum] = from.loadVec(4);
  return { score, token: token.as('u32'), most, sum };
}

/** The best of a warp, in all its lanes. */
function mergeLanes(k: Ops, own: Found): Found {
  let found = own;
  for (let distance = 16; distance >= 1; distance /= 2) {
    found = merge(k, found, {
      score: k.shuffleXor(found.score, distance),
      token: k.shuffleXor(found.token, distance),
      most: k.shuffleXor(found.most, distance),
      sum: k.shuffleXor(found.sum, distance),
    });
  }
  return found;
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
