import {
  defineKernel,
  global,
  type Kernel,
  type Ops,
  type ParamDecls,
  type ParamValues,
  type Pointer,
  segmentSum,
  type Value,
} from '@flash-mla/ptx';
import { beginOverlapped } from '../../kernel-lib/cuda/overlap.ts';
import {
  columnsPerThread,
  loadColumns,
  loadOne,
  presenceOf,
  type RowDType,
  type RowLayout,
  storeColumns,
} from '../../kernel-lib/cuda/rows/columns.ts';

/** What the code depends on. */
export interface AppendLatentsConfig {
  readonly latent: number;
  readonly rope: number;
  readonly heads: number;
  readonly latents: RowLayout<RowDType>;
  readonly weight: RowLayout<RowDType>;
  readonly cache: RowLayout<RowDType>;
  readonly queries: RowDType;
  readonly rotated: RowDType;
  readonly interleaved: boolean;
  readonly hasPositions: boolean;
}

const params = {
  latents: global('u8'),
  weight: global('u8'),
  cos: global('f32'),
  sin: global('f32'),
  positions: global('u32'),
  queries: global('u8'),
  rotated: global('u8'),
  cache: global('u8'),
  slots: global('u32'),
  eps: 'f32',
  /** Rows of the tables. */
  known: 'u32',
  pageSize: 'u32',
  /** Tokens of the cache, below 2^31. */
  capacity: 'u32',
  /** All strides in bytes. */
  latentStride: 'u64',
  queryStride: 'u64',
  queryHeadStride: 'u64',
  rotatedStride: 'u64',
  rotatedHeadStride: 'u64',
  blockStride: 'u64',
  tokenStride: 'u64',
} as const satisfies ParamDecls;

export type AppendLatentsParams = typeof params;

type Bytes = Pointer<'global', 'u8'>;

const warps = 8;
const threads = warps * 32;
/** Warps that rotate queries: the first one has the latent, the second its key. */
const queryThreads = (warps - 2) * 32;

/** A CTA takes a row: one warp norms the latent, one rotates the key, the others rotate the queries. */
export function buildAppendLatents(config: AppendLatentsConfig): Kernel<AppendLatentsParams> {
  const { rope, heads, hasPositions } = config;
  const half = rope / 2;
  return defineKernel({ name: 'sm80_append_latents', params, block: [threads] }, (k, p) => {
    beginOverlapped(k);
    const row = k.widen(k.blockIdx.x).named('row');
    const position = hasPositions ? p.positions.at(row).load() : k.blockIdx.x;
    const rotates = position.lt(p.known);
    const angles = k.mulWide(k.select(rotates, position, 0, 'u32'), half);
    const rotation = (i: Value<'u32'>) => ({
      c: k.select(rotates, p.cos.at(angles).at(i).load(), 1, 'f32'),
      s: k.select(rotates, p.sin.at(angles).at(i).load(), 0, 'f32'),
    });
    const rotate = (
      from: Bytes,
      fromType: RowDType,
      to: Bytes,
      toType: RowDType,
      i: Value<'u32'>,
    ) => rotatePair(k, config, { from, fromType, to, toType, i, ...rotation(i) });

    k.if(k.warpId.ge(2), () => {
      const range = { from: k.threadIdx.x.sub(64), to: heads * half, step: queryThreads };
      k.for({ ...range, unroll: false, name: 'pair' }, (pair) => {
        const head = k.widen(pair.div(half));
        const from = p.queries.bytes(row.mul(p.queryStride)).bytes(head.mul(p.queryHeadStride));
        const to = p.rotated.bytes(row.mul(p.rotatedStride)).bytes(head.mul(p.rotatedHeadStride));
        rotate(from, config.queries, to, config.rotated, pair.rem(half));
      });
      k.exit();
    });
    const slot = p.slots.at(row).load();
    k.if(slot.ge(p.capacity), () => k.exit(), { uniform: true });
    const from = p.latents.bytes(row.mul(p.latentStride));
    const block = slot.div(p.pageSize);
    const to = p.cache
      .bytes(k.widen(block).mul(p.blockStride))
      .bytes(k.widen(slot.sub(block.mul(p.pageSize))).mul(p.tokenStride));
    k.if(
      k.warpId.eq(0),
      () => normLatent(k, config, p, from, to),
      () => {
        const key = (of: Bytes, dtype: RowDType) => of.bytes(config.latent * sizeOf(dtype));
        const { latents, cache } = config;
        k.for({ from: k.laneId, to: half, step: 32, unroll: false, name: 'pair' }, (i) => {
          rotate(key(from, latents.dtype), latents.dtype, key(to, cache.dtype), cache.dtype, i);
        });
      },
    );
  });
}

const sizeOf = (dtype: RowDType) => (dtype === 'f32' ? 4 : 2);

/** The latent of a row, normed by a warp, which keeps it in registers. */
function normLatent(
  k: Ops,
  { latent, latents, weight, cache }: AppendLatentsConfig,
  p: ParamValues<AppendLatentsParams>,
  from: Bytes,
  to: Bytes,
): void {
  const units = Array.from({ length: Math.ceil(latent / (32 * columnsPerThread)) }, (_, i) => {
    const column = k.laneId.add(32 * i).mul(columnsPerThread);
    return { column, presence: presenceOf(column, latent) };
  });
  const at = (of: Bytes, dtype: RowDType, column: Value<'u32'>) =>
    of.bytes(k.widen(column).mul(sizeOf(dtype)));
  const values = units.map(({ column, presence }) =>
    loadColumns(k, at(from, latents.dtype, column), latents, presence),
  );
  const squares = values.flat().map((value) => value.mul(value));
  const sum = segmentSum(
    k,
    squares.reduce((a, b) => a.add(b)),
  );
  const scale = k.rsqrt(sum.mul(1 / latent).add(p.eps)).named('scale');
  units.forEach(({ column, presence }, i) => {
    const gains = loadColumns(k, at(p.weight, weight.dtype, column), weight, presence);
    const normed = (values[i] ?? []).map((value, c) =>
      value.mul(scale).mul(gains[c] as Value<'f32'>),
    );
    storeColumns(k, at(to, cache.dtype, column), cache, presence, normed);
  });
}

interface Pair {
  readonly from: Bytes;
  readonly fromType: RowDType;
  readonly to: Bytes;
  readonly toType: RowDType;
  readonly i: Value<'u32'>;
  readonly c: Value<'f32'>;
  readonly s: Value<'f32'>;
}

function rotatePair(
  k: Ops,
  { rope, interleaved }: AppendLatentsConfig,
  { from, fromType, to, toType, i, c, s }: Pair,
): void {
  const first = k.widen(interleaved ? i.mul(2) : i);
  const apart = interleaved ? 1 : rope / 2;
  const source = from.bytes(first.mul(sizeOf(fromType)));
  const target = to.bytes(first.mul(sizeOf(toType)));
  const a = loadOne(source, fromType);
  const b = loadOne(source.bytes(apart * sizeOf(fromType)), fromType);
  const [rotatedA, rotatedB] = [a.mul(c).sub(b.mul(s)), a.mul(s).add(b.mul(c))];
  const second = target.bytes(apart * sizeOf(toType));
  if (toType === 'f32') {
    target.as('f32').store(rotatedA);
    second.as('f32').store(rotatedB);
    return;
  }
  const words = k.packBf16x2(rotatedA, rotatedB).as('u32');
  target.as('u16').store(words);
  second.as('u16').store(words.shr(16));
}
