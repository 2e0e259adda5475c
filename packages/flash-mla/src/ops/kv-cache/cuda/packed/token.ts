import {
  global,
  type MemType,
  type Ops,
  type ParamDecls,
  type ParamValues,
  type Pointer,
  type Value,
} from '@flash-mla/ptx';
import { packedRows } from '../../../../runtime/tensor/packed-rows.ts';
import { packedFormats } from '../../../kernel-lib/cuda/packed-formats.ts';
import type { Alignment } from '../../../kernel-lib/cuda/sm80/copy.ts';
import type { PackRowsProblem } from '../problems.ts';

/** What the code of packing and unpacking rows depends on. */
export interface PackRowsConfig {
  readonly layout: PackRowsProblem['layout'];
  readonly packedAlignment: Alignment;
  readonly rowAlignment: Alignment;
}

/** A warp takes a token, a lane this many of its values. */
export const valuesPerLane = 16;
const warpsPerCta = 8;
export const packThreads = warpsPerCta * 32;

export const packRowsParams = {
  /** (blocks, page, 1, rowBytes). */
  packed: global('u8'),
  /** (blocks, page, 1, dQk), contiguous. */
  rows: global('bf16'),
  tokens: 'u32',
  pageSize: 'u32',
  /** Bytes between blocks and, `v32`, between the rows of a block. */
  blockStride: 'u64',
  rowStride: 'u64',
} as const satisfies ParamDecls;

export type PackRowsParams = typeof packRowsParams;

export const packRowsCtas = (tokens: number): number => Math.ceil(tokens / warpsPerCta);

/** How the lanes of a warp share a token. */
export function laneShares(layout: PackRowsProblem['layout']) {
  const { valueChunks, chunksPerScale, ropeChunks } = packedFormats[layout];
  return {
    /** Lanes that have values; `model1` leaves the others to the rope. */
    valueLanes: valueChunks,
    lanesPerScale: chunksPerScale as 4 | 8,
    /** Columns of the values, after which those of the rope follow. */
    values: valueChunks * valuesPerLane,
    columns: valueChunks * valuesPerLane + ropeChunks * 8,
  };
}

/** Where the parts of a token are. */
export interface PackedToken {
  readonly values: Pointer<'global', 'u8'>;
  readonly scales: Pointer<'global', 'u8'>;
  readonly rope: Pointer<'global', 'u8'>;
}

/** The warp's token; warps beyond the last leave. */
export function warpToken(
  k: Ops,
  { layout }: PackRowsConfig,
  p: ParamValues<PackRowsParams>,
): PackedToken & { readonly row: Pointer<'global', 'bf16'> } {
  const token = k.mad(k.blockIdx.x, warpsPerCta, k.warpId).named('token');
  k.if(token.ge(p.tokens), () => k.exit(), { uniform: true });
  const row = p.rows.at(k.mulWide(token, laneShares(layout).columns));
  return { ...packedToken(k, layout, p, token), row };
}

/** A packed cache, as parameters of a kernel say where it is. */
export interface PackedCache {
  readonly packed: Pointer<'global', 'u8'>;
  readonly pageSize: Value<'u32'>;
  /** Bytes between blocks and, `v32`, between the rows of a block. */
  readonly blockStride: Value<'u64'>;
  readonly rowStride: Value<'u64'>;
}

/** Where token `slot` (block · page + offset) of a cache is. */
export function packedToken(
  k: Ops,
  layout: PackRowsProblem['layout'],
  { packed, pageSize, blockStride, rowStride }: PackedCache,
  slot: Value<'u32'>,
): PackedToken {
  const index = slot.div(pageSize);
  const offset = slot.sub(index.mul(pageSize)).named('offset');
  const block = packed.at(k.widen(index).mul(blockStride));
  const { ropeOffset } = packedFormats[layout];
  if (layout === 'v32') {
    const values = block.at(k.widen(offset).mul(rowStride));
    const at = packedFormats.v32.scaleOffset as number;
    return { values, scales: values.at(at), rope: values.at(ropeOffset) };
  }
  const { rowStride: rowBytes, scaleBytes } = packedRows.model1;
  const values = block.at(k.mulWide(offset, rowBytes));
  const ofRow = offset.shl(Math.log2(scaleBytes));
  const scales = block.at(k.mulWide(pageSize, rowBytes)).at(ofRow);
  return { values, scales, rope: values.at(ropeOffset) };
}

/** Stores 32-bit words by stores as wide as the alignment, at least 2, allows. */
export function storeWords(
  to: Pointer<'global', MemType>,
  words: readonly Value<'b32'>[],
  alignment: Alignment,
): void {
  if (alignment >= 4) {
    const vector = Math.min(words.length, alignment / 4);
    for (let w = 0; w < words.length; w += vector) {
      to.as('b32')
        .at(w)
        .storeVec(words.slice(w, w + vector));
    }
    return;
  }
  words.forEach((word, w) => {
    const at = to.as('u16').at(2 * w);
    at.store(word.as('u32'));
    at.at(1).store(word.as('u32').shr(16));
  });
}
