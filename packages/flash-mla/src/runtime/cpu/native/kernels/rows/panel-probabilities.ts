import {
  type Gpr64,
  type KernelBuilder,
  type Memory,
  transpose16,
  type Zmm,
} from '@flash-mla/machine-code';
import { panelBytes } from '../attend/context.ts';
import { pairBytes, type Rows } from './context.ts';

const tileBytes = 16 * pairBytes;

interface Probabilities {
  readonly score: Gpr64;
  readonly base: Zmm;
  readonly total: Zmm;
  /** Loads logits in base 2. */
  load(x: Zmm, from: Memory<'gpr64'>): void;
  exp2(x: Zmm): void;
}

/**
 * Probabilities of `tokens` tokens of 16 rows, over the scores that they come from; as f32, to be cut to bf16: half
 * a unit of that was added. Those of missing tokens up to a multiple of 32 are 0.
 */
export function emitRoundedProbabilities(
  k: KernelBuilder,
  tokens: Gpr64,
  { score, base, total, load, exp2 }: Probabilities,
): void {
  const [x, half] = k.zmms('p', 2) as [Zmm, Zmm];
  k.vpbroadcastd(half, k.constant.u32(0x8000));
  const missing = k.gpr('missing', tokens);
  k.neg(missing);
  k.and(missing, 31);
  k.loop(
    tokens,
    () => {
      load(x, score.at());
      k.vsubps(x, x, base);
      exp2(x);
      k.vaddps(total, total, x);
      k.vpaddd(x, x, half);
      k.vmovups(score.at(), x);
      k.add(score, panelBytes);
    },
    { name: 'probabilities', atLeastOnce: true },
  );
  k.vpxord(x, x, x);
  k.loop(
    missing,
    () => {
      k.vmovups(score.at(), x);
      k.add(score, panelBytes);
    },
    { name: 'no_tokens' },
  );
}

/**
 * Rounded probabilities of 16 tokens become two left operands of products of tiles: a row has the probabilities of
 * a query row, each beside a zero. First of each pair in place of the scores; second of each pair in the room
 * that value pairs have otherwise.
 */
export function emitProbabilityTiles({ k, job, base }: Rows): void {
  k.section('rows of probabilities', () => {
    const first = k.gpr('first', job.scores);
    const second = k.gpr('second', job.valuePairs);
    for (const register of [first, second]) k.add(register, base);
    const tiles = k.gpr('tiles', job.tokens);
    k.add(tiles, 31);
    k.shr(tiles, 5);
    k.shl(tiles, 1);
    k.loop(
      tiles,
      () => {
        const rows = k.zmms('rows', 16);
        for (const [i, row] of rows.entries()) k.vmovups(row, first.at(i * pairBytes));
        transpose16(k, rows);
        const x = k.zmm('x');
        for (const [i, row] of rows.entries()) {
          k.vpsrld(x, row, 16);
          k.vpandd(row, row, k.constant.u32(0xffff0000).broadcast());
          k.vmovups(first.at(i * pairBytes), x);
          k.vmovups(second.at(i * pairBytes), row);
        }
        k.add(first, tileBytes);
        k.add(second, tileBytes);
      },
      { name: 'tiles', atLeastOnce: true },
    );
  });
}
