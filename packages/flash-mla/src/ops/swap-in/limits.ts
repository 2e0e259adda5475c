/** H at most: the LRU order is kept in 16 bits. */
export const maxBufferSize = 32_767;

/** Buckets of the hash table of a top-k: a power of two, so that it is at most half full. */
export function numBucketsOf(topK: number): number {
  return 2 ** Math.ceil(Math.log2(2 * topK));
}

/** Threads of a CTA, a multiple of 32. */
export const [defaultBlockSize, maxBlockSize] = [512, 1024];

/** Entries of a top-k that a thread takes at most. */
export const entriesPerThread = 64;

/** What a cache's rows may be made of. */
export type SwapInCacheDType = 'u8' | 'e4m3' | 'bf16' | 'f16';
export const swapInCacheDTypes = ['u8', 'e4m3', 'bf16', 'f16'] as const;
