import { field, type SharedLayout, sharedLayout } from '@flash-mla/ptx';
import { numBucketsOf } from '../limits.ts';
import type { SwapInSizes } from '../reference-problem.ts';

/** In place of a token. */
export const emptyBucket = 0xffff_ffff;
/** Above every index: `hasSlot` + slot stands for a slot. */
export const hasSlot = 0x8000_0000;

/** A launch may use so much shared memory without asking the driver for more. */
const bytesWithoutOptIn = 48 * 1024;

const declare = (numBuckets: number, numGroups: number, bufferSize: number) => ({
  /** Open addressing: the token in each bucket, or `emptyBucket`. */
  hashTokens: field('u32', [numBuckets]),
  /** By bucket: the first index of the token in the top-k; once it has a slot, `hasSlot` + slot. */
  hashSlots: field('u32', [numBuckets]),
  /** By 32 neighbours, slots first and entries of the top-k later: which are hits, which are misses. */
  masks: field('u32', [numGroups]),
  /** How many bits of `masks` are set before; the last element is the total. */
  counts: field('u32', [numGroups + 1]),
  /** Slots without a wanted token, then slots with one, each from the oldest to the newest. */
  order: field('u16', [bufferSize]),
});

/**
 * The shared memory of the swap-in kernel, one CTA a request. This is the only place that says what is in
 * it: the kernel is built over it, and is chosen where its size fits.
 */
export interface SwapInSharedLayout {
  readonly shared: SharedLayout<ReturnType<typeof declare>>;
  /** Buckets of the hash table: a power of two, at most half full. */
  readonly numBuckets: number;
  /** Groups of 32 slots or entries, whichever are more. */
  readonly numGroups: number;
  readonly bytes: number;
  /** The driver has to be asked for more than 48 KiB. */
  readonly needsOptIn: boolean;
}

export function swapInSharedLayout({
  topK,
  bufferSize,
}: Pick<SwapInSizes, 'topK' | 'bufferSize'>): SwapInSharedLayout {
  const numBuckets = numBucketsOf(topK);
  const numGroups = Math.ceil(Math.max(topK, bufferSize) / 32);
  const shared = sharedLayout(declare(numBuckets, numGroups, bufferSize));
  const { bytes } = shared;
  return { shared, numBuckets, numGroups, bytes, needsOptIn: bytes > bytesWithoutOptIn };
}
