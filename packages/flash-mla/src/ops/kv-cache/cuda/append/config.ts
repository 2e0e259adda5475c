import { global, type Ops, type ParamDecls, type ParamValues, type Value } from '@flash-mla/ptx';
import type { Alignment } from '../../../kernel-lib/cuda/sm80/copy.ts';
import type { AppendProblem } from '../problems.ts';

/** What the code of appending rows depends on. */
export interface AppendConfig {
  readonly layout: AppendProblem['layout'];
  /** Bytes of a row as it is given. */
  readonly rowBytes: number;
  readonly numHeads: number;
  readonly slotBytes: 4 | 8;
  readonly cacheAlignment: Alignment;
  readonly rowAlignment: Alignment;
}

/** A warp takes a row. Few a CTA, so that the rows of a decode step spread over many multiprocessors. */
const warpsPerCta = 4;
export const appendThreads = warpsPerCta * 32;
export const appendCtas = (rows: number): number => Math.ceil(rows / warpsPerCta);

export const appendParams = {
  /** (blocks, page, heads, bytes of a row). */
  cache: global('u8'),
  /** (n, heads, columns). */
  rows: global('u8'),
  /** i32 or i64 (n). */
  slots: global('u32'),
  /** n · heads. */
  count: 'u32',
  pageSize: 'u32',
  /** Tokens of the cache, below 2^31. */
  capacity: 'u32',
  /** All strides in bytes. */
  blockStride: 'u64',
  tokenStride: 'u64',
  headStride: 'u64',
  rowStride: 'u64',
  rowHeadStride: 'u64',
} as const satisfies ParamDecls;

export type AppendParams = typeof appendParams;

/** The row of a warp. */
export interface WarpRow {
  readonly token: Value<'u32'>;
  readonly head: Value<'u32'>;
}

/** The warp's row; warps beyond the last leave. */
export function warpRow(k: Ops, { numHeads }: AppendConfig, count: Value<'u32'>): WarpRow {
  const row = k.mad(k.blockIdx.x, warpsPerCta, k.warpId).named('row');
  k.if(row.ge(count), () => k.exit(), { uniform: true });
  return { token: row.div(numHeads), head: row.rem(numHeads) };
}

/** A row's slot, still on its way from memory. */
export interface Slot {
  readonly index: Value<'u32'>;
  readonly outside: Value<'pred'>;
}

/** Reads the slot of a row. Negative ones are outside: as unsigned numbers they are large. */
export function loadSlot(
  k: Ops,
  { slotBytes }: AppendConfig,
  p: ParamValues<AppendParams>,
  token: Value<'u32'>,
): Slot {
  const at = p.slots.at(k.mulWide(token, slotBytes / 4));
  if (slotBytes === 4) {
    const index = at.load({ nc: true });
    return { index, outside: index.ge(p.capacity) };
  }
  const [index, high] = at.loadVec(2, { nc: true });
  return { index, outside: index.ge(p.capacity).or(high.ne(0)) };
}
