import {
  e4m3x4ToF16x2,
  type Ops,
  type Pointer,
  packPair,
  unpackF16x2,
  type Value,
} from '@flash-mla/ptx';
import { type PackedFormat, packedSlots } from '../../../../kernel-lib/cuda/packed-formats.ts';
import { type Alignment, chunkBytes, copyChunk } from '../../../../kernel-lib/cuda/sm80/copy.ts';
import type { KeySource, RowLookup } from './keys.ts';
import { biasSlot } from './mask.ts';
import type { WarpPlace } from './place.ts';
import type { MlaShared } from './shared.ts';
import { ctaThreads, type MlaTile, tileShape } from './tile.ts';

/** Slots that a thread has loaded before it decodes the first of them. */
const slotsAtOnce = 3;

const threadsPerRow = (tile: MlaTile): number => ctaThreads / tile.tokens;

/** The one row of a tile that a thread copies and decodes a share of. */
export function packedRow(tile: MlaTile, place: WarpPlace): Value<'u32'> {
  return place.thread.shr(Math.log2(threadsPerRow(tile)));
}

/**
 * Rows of e4m3. A thread copies chunks of one row to slots of its own, asynchronously, and decodes them
 * itself a step later: no other thread is waited for in between. Of each kind of chunk it takes every
 * so-many-th, so that neighbours read neighbouring bytes.
 */
export function packedKeys(
  k: Ops,
  tile: MlaTile,
  shared: MlaShared,
  place: WarpPlace,
  lookup: RowLookup,
  format: PackedFormat,
  alignment: Alignment,
): KeySource {
  const threads = threadsPerRow(tile);
  const slots = packedSlots(format, threads);
  const row = packedRow(tile, place);
  const share = place.thread.and(threads - 1).named('share');
  const slot = (i: number) => shared.packed.at(i, place.thread, 0);
  const firstRope = slots.values;
  const scaleSlot = slots.values + slots.rope;

  /** The thread's slots of a kind of chunk; the last may be one too many for some threads. */
  const slotsOf = (chunks: number) =>
    Array.from({ length: Math.ceil(chunks / threads) }, (_, i) => {
      const chunk = share.add(i * threads);
      return { i, chunk, exists: (i + 1) * threads <= chunks ? undefined : chunk.lt(chunks) };
    });
  const where = (exists: Value<'pred'> | undefined, store: () => void) => {
    if (exists === undefined) store();
    else k.if(exists, store);
  };

  return {
    seek: lookup.seek,
    *fetch(t, stage, wanted) {
      lookup.note?.(t, stage);
      const { present, from, scales } = lookup.locate(t, 0);
      const bytes = from.as('u8');
      const mine = bytes.at(share.mul(chunkBytes));
      const copy = (i: number, byte: number, exists: Value<'pred'> | undefined) => {
        const here = exists === undefined ? present : present.and(exists);
        copyChunk(k, slot(i), mine.at(byte), alignment, here, wanted);
      };
      const isApart = format.scaleOffset === 'apart';
      const describeRow = () => {
        if (format.scaleBytes > 0) {
          const at = format.scaleOffset === 'apart' ? scales : bytes.at(format.scaleOffset);
          if (at === undefined) return k.fail('this format needs to know where the scales are');
          const size = format.scaleBytes === 16 ? 16 : 8;
          const sourceBytes = k.select<'u32'>(present, size, 0, 'u32');
          const start = () => k.cpAsync(slot(scaleSlot), at.as('b32'), size, { sourceBytes });
          if (wanted === undefined) start();
          else k.if(wanted, start);
        }
        if (!tile.gathered) return;
        const bias = k.select<'f32'>(present, 0, Number.NEGATIVE_INFINITY, 'f32');
        k.if(share.eq(0), () => shared.tokenBias.at(biasSlot(tile, t, stage), row).store(bias));
      };
      // An address of the scales' own is best used up at once: registers are short.
      if (isApart) describeRow();
      for (const { i, exists } of slotsOf(format.valueChunks)) {
        copy(i, i * threads * chunkBytes, exists);
        yield;
      }
      for (const { i, exists } of slotsOf(format.ropeChunks)) {
        copy(firstRope + i, format.ropeOffset + i * threads * chunkBytes, exists);
        yield;
      }
      if (!isApart) describeRow();
    },
    decode() {
      const target = shared.keys.row(0, row);
      const storeChunk = (
        chunk: Value<'u32'>,
        words: readonly Value<'b32'>[],
        scale?: Multiplier,
      ) => {
        const pairs = words.flatMap((word) => decodeWord(k, word, scale));
        const column = chunk.mul(16);
        target.at(column).as('b32').storeVec(pairs.slice(0, 4));
        target.at(column.add(8)).as('b32').storeVec(pairs.slice(4));
      };
      if (format.scaleBytes === 0) {
        // A loop, because the slots of whole rows of values would take all registers at once.
        k.for({ from: share, to: format.valueChunks, step: threads, unroll: false }, (chunk) => {
          const words = shared.packed.at(chunk.div(threads), place.thread, 0).loadVec(4);
          storeChunk(chunk, words);
        });
      } else {
        const multiplier = scaleReader(k, tile, format, threads, share, slot(scaleSlot));
        const all = slotsOf(format.valueChunks);
        for (let first = 0; first < all.length; first += slotsAtOnce) {
          // Stores would hold up the loads behind them: those of some slots come before.
          const loaded = all.slice(first, first + slotsAtOnce).map((each) => {
            return { ...each, words: slot(each.i).loadVec(4) };
          });
          for (const { i, chunk, exists, words } of loaded) {
            where(exists, () => storeChunk(chunk, words, multiplier(i)));
          }
        }
      }
      const values = format.valueChunks * 16;
      for (const { i, chunk, exists } of slotsOf(format.ropeChunks)) {
        where(exists, () => {
          const words = slot(firstRope + i).loadVec(4);
          target.at(chunk.mul(8).add(values)).as('b32').storeVec(words);
        });
      }
      const used = values / 8 + format.ropeChunks;
      const padding = tileShape(tile).width / 8 - used;
      for (const { chunk, exists } of slotsOf(padding)) {
        const zero = k.constant('b32', 0);
        where(exists, () => {
          target.at(chunk.add(used).mul(8)).as('b32').storeVec([zero, zero, zero, zero]);
        });
      }
    },
  };
}

/** Multiplies two values, which are f16 now, by their scale and rounds them to the tile's element. */
type Multiplier = (pair: Value<'f16x2'>) => Value<'b32'>;

/** How to multiply the chunk in the thread's `i`-th slot by its scale. */
function scaleReader(
  k: Ops,
  tile: MlaTile,
  format: PackedFormat,
  threads: number,
  share: Value<'u32'>,
  slot: Pointer<'shared', 'b32'>,
): (i: number) => Multiplier {
  const { chunksPerScale, scaleType } = format;
  const firstScale = (i: number) => Math.floor((i * threads) / chunksPerScale);
  if (scaleType === 'f32') {
    const scales = slot.as('f32').loadVec(4);
    return (i) => (pair) => {
      // Threads of a row are no more than the chunks of a scale: the slot alone tells which.
      const scale = scales[firstScale(i)];
      const [lo, hi] = unpackF16x2(k, pair);
      return packPair(k, tile.element, lo.mul(scale), hi.mul(scale)).as('b32');
    };
  }
  const words = slot.loadVec(2);
  const further = threads > chunksPerScale ? share.div(chunksPerScale) : undefined;
  return (i) => {
    const first = firstScale(i);
    // The scale's byte in both halves, zeros beside it.
    const constant = 0x4040 + (first % 4) * 0x0101;
    const selector = further === undefined ? constant : further.mul(0x0101).add(constant);
    const bytes = k.prmt(words[first >> 2], 0, selector);
    // Powers of two are exact in bf16. 2^-127 is subnormal: no shifted exponent.
    const scale = bytes.shl(7).as('u32').max(leastScales).as('b32').as('bf16x2');
    return (pair) =>
      packPair(k, 'bf16', ...unpackF16x2(k, pair))
        .mul(scale)
        .as('b32');
  };
}

/** Two times 2^-127 in bf16. */
const leastScales = 0x0040_0040;

/** Four e4m3 as two pairs of the tile's element. */
function decodeWord(
  k: Ops,
  word: Value<'b32'>,
  multiply: Multiplier = (pair) => pair.as('b32'),
): Value<'b32'>[] {
  return e4m3x4ToF16x2(k, word.as('e4m3x4'), { nan: true }).map(multiply);
}
