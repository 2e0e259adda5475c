import type { Gpr64, KernelBuilder, Memory, Zmm } from '@flash-mla/machine-code';
import { panelBytes } from '../attend/context.ts';

/**
 * Two vectors of probabilities as pairs of bf16, the first one in the lower halves. Rounds to nearest, ties up:
 * probabilities are not negative, and NaN stays NaN. Overwrites both; takes a register.
 */
export function emitPairs(k: KernelBuilder, first: Zmm, second: Zmm): void {
  k.scope(() => {
    const half = k.zmm('half');
    k.vpbroadcastd(half, k.constant.u32(0x8000));
    k.vpaddd(first, first, half);
    k.vpaddd(second, second, half);
    k.vpsrld(first, first, 16);
    // (second & 0xffff0000) | first
    k.vpternlogd(first, second, k.constant.u32(0xffff0000).broadcast(), firstOrMasked);
  });
}

/** Truth table of a | (b & c). */
const firstOrMasked = 0xf8;

interface Probabilities {
  readonly score: Gpr64;
  readonly base: Zmm;
  readonly total: Zmm;
  /** Loads logits in base 2. */
  load(x: Zmm, from: Memory<'gpr64'>): void;
  exp2(x: Zmm): void;
  /** Fill up to a multiple of so many pairs with zeros; a power of two. */
  readonly pairsTo?: number;
}

/**
 * Probabilities of `tokens` tokens of 16 rows as pairs, over the scores that they come from. The missing one of
 * an odd number is 0.
 */
export function emitPairedProbabilities(
  k: KernelBuilder,
  tokens: Gpr64,
  { score, base, total, load, exp2, pairsTo = 1 }: Probabilities,
): void {
  const [first, second] = k.zmms('p', 2) as [Zmm, Zmm];
  const to = k.gpr('to', score);
  const probability = (x: Zmm, at: number) => {
    load(x, score.at(at));
    k.vsubps(x, x, base);
    exp2(x);
    k.vaddps(total, total, x);
  };
  const store = () => {
    emitPairs(k, first, second);
    k.vmovups(to.at(), first);
  };
  const odd = k.gpr('odd', tokens);
  const missing = k.gpr('missing', tokens);
  k.and(odd, 1);
  k.add(missing, 1);
  k.shr(missing, 1);
  k.neg(missing);
  k.and(missing, pairsTo - 1);
  k.shr(tokens, 1);
  k.loop(
    tokens,
    () => {
      probability(first, 0);
      probability(second, panelBytes);
      store();
      k.add(score, 2 * panelBytes);
      k.add(to, panelBytes);
    },
    { name: 'pairs_of_probabilities' },
  );
  k.test(odd, odd);
  k.if(k.flags('ne'), () => {
    probability(first, 0);
    k.vpxord(second, second, second);
    store();
    k.add(to, panelBytes);
  });
  if (pairsTo === 1) return;
  k.vpxord(first, first, first);
  k.loop(
    missing,
    () => {
      k.vmovups(to.at(), first);
      k.add(to, panelBytes);
    },
    { name: 'no_tokens' },
  );
}
