import {
  defineKernel,
  global,
  type Kernel,
  type ParamDecls,
  type Pointer,
  type Value,
} from '@flash-mla/ptx';
import { loadOne, type RowDType } from '../../kernel-lib/cuda/rows/columns.ts';

/** What the code depends on. */
export interface RopeConfig {
  readonly dim: number;
  readonly x: RowDType;
  readonly out: RowDType;
  readonly interleaved: boolean;
  readonly hasPositions: boolean;
}

const params = {
  x: global('u8'),
  cos: global('f32'),
  sin: global('f32'),
  positions: global('u32'),
  out: global('u8'),
  heads: 'u32',
  /** Rows of the tables. */
  known: 'u32',
  /** rows · heads · dim / 2. */
  count: 'u32',
  /** All strides in bytes. */
  xStride: 'u64',
  xHeadStride: 'u64',
  outStride: 'u64',
  outHeadStride: 'u64',
} as const satisfies ParamDecls;

export type RopeParams = typeof params;

const threads = 128;
export const ropeCtas = (pairs: number) => Math.ceil(pairs / threads);

/** A thread rotates a pair, so that rows may be rotated where they are. */
export function buildApplyRope(config: RopeConfig): Kernel<RopeParams> {
  const { dim, interleaved, hasPositions } = config;
  const half = dim / 2;
  return defineKernel({ name: 'sm80_apply_rope', params, block: [threads] }, (k, p) => {
    const pair = k.mad(k.blockIdx.x, threads, k.threadIdx.x).named('pair');
    k.if(pair.ge(p.count), () => k.exit());
    const vector = pair.div(half);
    const i = pair.rem(half);
    const row = vector.div(p.heads);
    const head = k.widen(vector.sub(row.mul(p.heads)));
    const position = hasPositions ? p.positions.at(row).load() : row;
    const rotates = position.lt(p.known);
    const angle = k.mulWide(k.select(rotates, position, 0, 'u32'), half);
    const c = k.select(rotates, p.cos.at(angle).at(i).load(), 1, 'f32');
    const s = k.select(rotates, p.sin.at(angle).at(i).load(), 0, 'f32');
    const first = interleaved ? i.mul(2) : i;
    const apart = interleaved ? 1 : half;
    const at = (
      base: Pointer<'global', 'u8'>,
      strides: [Value<'u64'>, Value<'u64'>],
      dtype: RowDType,
    ) => {
      const [stride, headStride] = strides;
      const size = dtype === 'f32' ? 4 : 2;
      const from = base.bytes(k.widen(row).mul(stride)).bytes(head.mul(headStride));
      const place = from.bytes(k.widen(first).mul(size));
      return [place, place.bytes(apart * size)] as const;
    };
    const [fromA, fromB] = at(p.x, [p.xStride, p.xHeadStride], config.x);
    const [a, b] = [loadOne(fromA, config.x), loadOne(fromB, config.x)];
    const [toA, toB] = at(p.out, [p.outStride, p.outHeadStride], config.out);
    const rotatedA = a.mul(c).sub(b.mul(s));
    const rotatedB = a.mul(s).add(b.mul(c));
    if (config.out === 'f32') {
      toA.as('f32').store(rotatedA);
      toB.as('f32').store(rotatedB);
      return;
    }
    const words = k.packBf16x2(rotatedA, rotatedB).as('u32');
    toA.as('u16').store(words);
    toB.as('u16').store(words.shr(16));
  });
}
