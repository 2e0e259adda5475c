import { field, type SharedAccess, type SharedLayout, sharedLayout, union } from '@flash-mla/ptx';
import { rawRowPadding } from './raw-rows.ts';
import { ctaThreads, ctaWarps, type MlaTile, tileShape } from './tile.ts';

/** The shared memory of an attention CTA. */
export function mlaShared(tile: MlaTile) {
  const { element, rows, tokens, stages, packedSlots, rawKeys, gathered, exchangeRounds, pages } =
    tile;
  const { width, queryWidth, rowTiles, groups, splitsDepth, tokensPerWarp } = tileShape(tile);
  /** Tiles of which something is told beside their rows: see `biasSlot`. */
  const slots = Math.max(stages, packedSlots > 0 ? 2 : 1);
  const senders = splitsDepth ? ctaWarps / exchangeRounds : 0;
  return sharedLayout({
    query: field(element, [queryWidth > 0 ? rows : 0, queryWidth], { swizzle: '128B' }),
    keys: field(element, [rawKeys ? 0 : stages, tokens, rawKeys ? 0 : width], { swizzle: '128B' }),
    rawKeys: field('e4m3', [rawKeys ? stages : 0, tokens, width], {
      padding: rawRowPadding(width),
    }),
    /** Query fragments that stay here where keys are raw, as the lanes hold them. */
    queryFragments: field('b32', [rowTiles, rawKeys ? tile.sharedQuerySteps : 0, 32, 4]),
    /** Scores of raw keys over part of the depth, for the warp that adds the other part. */
    depthPartials: field('f32', [rawKeys && tile.depthParts === 2 ? ctaWarps : 0, 32, 4]),
    /** Packed rows on their way. A thread's slots lie apart: no two lanes meet in a bank. */
    packed: field('b32', [packedSlots, ctaThreads, 4]),
    scratch: union({
      /** Softmax weights of a step. */
      weights: field(element, [rows, tokens], { swizzle: tokens === 64 ? '128B' : '64B' }),
      /** Scores over half the depth, for the warp that adds the other half. */
      partials: field('f32', [senders, tokensPerWarp / 8, 32, 4]),
    }),
    /** Softmax statistics of a row, one per warp that shares it. */
    rowStats: field('f32', [rows, groups]),
    /** Factor of a row's output: the rescaling of a step, at the end 1 / sum. */
    rowScale: field('f32', [rows]),
    /** Per 16 rows, whether any of them asks for rescaling: not 0. */
    moved: field('b32', [rows / 16]),
    /** What to add to the scores of a token: 0, or −inf where it is missing. */
    tokenBias: field('f32', [gathered ? slots : 0, tokens]),
    /** See `page-table.ts`. */
    missing: field('u32', [pages === 'none' ? 0 : slots, pages === 'scattered' ? tokens : 1]),
    someMissing: field('u32', [pages === 'scattered' ? 1 : 0]),
  });
}

export type MlaSharedLayout = ReturnType<typeof mlaShared>;
export type MlaShared = SharedAccess<DeclsOf<MlaSharedLayout>>;
type DeclsOf<L> = L extends SharedLayout<infer D> ? D : never;
