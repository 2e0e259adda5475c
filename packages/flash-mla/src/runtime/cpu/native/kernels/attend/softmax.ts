import type { Gpr64, Memory, Ymm, Zmm } from '@flash-mla/machine-code';
import { type Attend, type AttendInputs, addressOf, panelBytes } from './context.ts';

/** What the softmax needs to be told. */
export type SoftmaxInputs = Pick<
  AttendInputs,
  | 'scores'
  | 'maximum'
  | 'sum'
  | 'decay'
  | 'limits'
  | 'rows'
  | 'scoreStride'
  | 'tokens'
  | 'masked'
  | 'position'
>;

type Softmax<V extends Zmm | Ymm> = Attend<V, SoftmaxInputs>;

/** How a softmax may differ from the plain one. */
export interface SoftmaxOptions<V extends Zmm | Ymm> {
  /** Loads logits in base 2. Default: scores are that. */
  load(x: V, from: Memory<'gpr64'>): void;
  /**
   * Keep a row's maximum unless a logit is above it by more than 8, so that old outputs nearly never need to be
   * rescaled: probabilities of up to 2^8 do no harm.
   */
  readonly lazy: boolean;
  readonly emitProbabilities: EmitProbabilities<V>;
}

/** Turns the scores of a vector of rows into probabilities, and adds them to `total`. */
export type EmitProbabilities<V extends Zmm | Ymm> = (
  score: Gpr64,
  tokens: Gpr64,
  vectors: { readonly base: V; readonly total: V },
  at: number,
) => void;

/** Tokens whose maxima are kept apart, so that comparisons need not wait for each other. */
const unrolled = 4;

/**
 * Online softmax in base 2: scores become probabilities relative to the new running maximum, `decay` by what
 * older sums and outputs shrink. Vectors hold rows, so nothing goes across lanes.
 */
export function emitSoftmax<V extends Zmm | Ymm>(
  a: Softmax<V>,
  given: Partial<SoftmaxOptions<V>> = {},
): void {
  const { k, v, job } = a;
  const plain = { load: v.load, lazy: false, emitProbabilities: probabilities(a) };
  const options = { ...plain, ...given };
  k.section('softmax', () => {
    const [scores, maximum, sum, decay] = [
      addressOf(a, 'scores'),
      addressOf(a, 'maximum'),
      addressOf(a, 'sum'),
      addressOf(a, 'decay'),
    ];
    const limits = addressOf(a, 'limits');
    const panels = k.gpr('panels', job.rows);
    k.add(panels, 15);
    k.shr(panels, 4);
    k.loop(panels, () => {
      for (let at = 0; at < panelBytes; at += 4 * v.lanes) {
        const pointers = { scores, maximum, sum, decay, limits };
        k.scope(() => emitRows(a, pointers, at, options));
      }
      for (const pointer of [maximum, sum, decay, limits]) k.add(pointer, panelBytes);
      k.scope(() => {
        const stride = k.gpr('stride', job.scoreStride);
        k.add(scores, stride);
      });
    });
  });
}

interface Pointers {
  readonly scores: Gpr64;
  readonly maximum: Gpr64;
  readonly sum: Gpr64;
  readonly decay: Gpr64;
  readonly limits: Gpr64;
}

/** The rows of one vector, `at` bytes into the panel. */
function emitRows<V extends Zmm | Ymm>(
  a: Softmax<V>,
  pointers: Pointers,
  at: number,
  { load, lazy, emitProbabilities }: SoftmaxOptions<V>,
): void {
  const { k, v, job } = a;
  const [old, top, base, total, lowest] = v.take('statistics', 5) as [V, V, V, V, V];
  v.load(old, pointers.maximum.at(at));
  v.broadcast(lowest, k.constant.f32(Number.NEGATIVE_INFINITY));
  k.cmp(job.masked, 0);
  k.if(k.flags('ne'), () => hideTokens(a, pointers, at, lowest));
  findMaximum(a, pointers.scores.at(at), old, top, load);
  if (lazy) v.keepUnlessHigher(top, old, base);

  // A row that has seen nothing keeps −∞ as its maximum but must not subtract it.
  v.finiteOrZero(base, top, lowest);
  v.subtract(old, old, base);
  v.exp2(old);
  v.load(total, pointers.sum.at(at));
  v.multiply(total, total, old);
  v.store(pointers.decay.at(at), old);
  v.store(pointers.maximum.at(at), top);
  const score = k.gpr('score', pointers.scores);
  const tokens = k.gpr('tokens', job.tokens);
  emitProbabilities(score, tokens, { base, total }, at);
  v.store(pointers.sum.at(at), total);
}

/** Probabilities as they are, in place of the scores. */
function probabilities<V extends Zmm | Ymm>({ k, v }: Softmax<V>): EmitProbabilities<V> {
  return (score, tokens, { base, total }, at) => {
    const [p] = v.take('p', 1) as [V];
    k.loop(
      tokens,
      () => {
        v.load(p, score.at(at));
        v.subtract(p, p, base);
        v.exp2(p);
        v.store(score.at(at), p);
        v.add(total, total, p);
        k.add(score, panelBytes);
      },
      { name: 'probabilities', atLeastOnce: true },
    );
  };
}

/** Scores of tokens that a row does not see become −∞. */
function hideTokens<V extends Zmm | Ymm>(
  { k, v, job }: Softmax<V>,
  { scores, limits }: Pointers,
  at: number,
  lowest: V,
): void {
  const [limit, position, one, x] = v.take('mask', 4) as [V, V, V, V];
  v.load(limit, limits.at(at));
  v.broadcast(position, job.position);
  v.broadcast(one, k.constant.u32(1));
  const score = k.gpr('score', scores);
  const tokens = k.gpr('tokens', job.tokens);
  k.loop(
    tokens,
    () => {
      v.load(x, score.at(at));
      v.hideBeyond(x, limit, position, lowest);
      v.store(score.at(at), x);
      v.addIntegers(position, position, one);
      k.add(score, panelBytes);
    },
    { name: 'hidden', atLeastOnce: true },
  );
}

/** `top`: the largest of `old` and all scores that are numbers. */
function findMaximum<V extends Zmm | Ymm>(
  { k, v, job }: Softmax<V>,
  scores: Memory<'gpr64'>,
  old: V,
  top: V,
  load: SoftmaxOptions<V>['load'],
): void {
  k.scope(() => {
    const tops = v.take('tops', unrolled) as [V, V, V, V];
    const [x] = v.take('x', 1) as [V];
    for (const each of tops) v.max(each, old, old);
    const score = k.gpr('score');
    k.lea(score, scores);
    const count = k.gpr('rounds', job.tokens);
    const take = (which: readonly V[]) => {
      for (const [i, each] of which.entries()) {
        load(x, score.at(i * panelBytes));
        v.max(each, x, each);
      }
      k.add(score, which.length * panelBytes);
    };
    k.shr(count, Math.log2(unrolled));
    k.loop(count, () => take(tops), { name: 'maximum' });
    k.set(count, job.tokens);
    k.and(count, unrolled - 1);
    k.loop(count, () => take(tops.slice(0, 1)), { name: 'maximum_rest' });
    v.max(tops[0], tops[0], tops[1]);
    v.max(tops[2], tops[2], tops[3]);
    v.max(top, tops[0], tops[2]);
  });
}
