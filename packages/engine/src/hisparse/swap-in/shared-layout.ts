import { EngineOptionError } from '../../errors.ts';
import type { SwapInSizes } from './sizes.ts';

type SharedDType = 's32' | 'u32' | 'u16';

export interface SharedField<DType extends SharedDType = SharedDType> {
  readonly dtype: DType;
  readonly length: number;
}

/** A launch may use so much shared memory without asking the driver for more. */
export const sharedBytesWithoutOptIn = 48 * 1024;

/**
 * The shared memory of the swap-in kernel, one CTA a request. This is the only place that says what is in
 * it: kernels declare their fields from it, and options are checked against its size.
 */
export interface SwapInSharedLayout {
  readonly fields: {
    /** Open addressing: the token in each bucket, −1 for none. Later the tokens of the misses, by rank. */
    readonly hashTokens: SharedField<'s32'>;
    /** By bucket: the first index of the token in the top-k; −1 − slot once it has a slot. */
    readonly hashSlots: SharedField<'s32'>;
    /** Hits or misses of 32 neighbours, then those before them; the last element is the total. */
    readonly counts: SharedField<'u32'>;
    /** Slots without a wanted token, then slots with one, each from the oldest to the newest. */
    readonly order: SharedField<'u16'>;
  };
  /** Buckets of the hash table: a power of two, at most half full. */
  readonly numBuckets: number;
  readonly bytes: number;
  /** The driver has to be asked for more than 48 KiB. */
  readonly needsOptIn: boolean;
}

/** Needs sizes that `checkSwapInSizes` accepts. */
export function swapInSharedLayout({
  topK,
  bufferSize,
}: Pick<SwapInSizes, 'topK' | 'bufferSize'>): SwapInSharedLayout {
  const numBuckets = 2 ** Math.ceil(Math.log2(2 * topK));
  const fields = {
    hashTokens: { dtype: 's32', length: numBuckets },
    hashSlots: { dtype: 's32', length: numBuckets },
    counts: { dtype: 'u32', length: Math.ceil(Math.max(topK, bufferSize) / 32) + 1 },
    order: { dtype: 'u16', length: bufferSize },
  } as const;
  // The widest elements first, so that every field is aligned without gaps.
  const bytes = Object.values(fields).reduce(
    (sum, { dtype, length }) => sum + length * (dtype === 'u16' ? 2 : 4),
    0,
  );
  return { fields, numBuckets, bytes, needsOptIn: bytes > sharedBytesWithoutOptIn };
}

/**
 * @param maxSharedBytes what a CTA of the device may use at most, after opting in.
 * @throws EngineOptionError if the kernel would need more.
 */
export function checkSharedBytes(
  sizes: Pick<SwapInSizes, 'topK' | 'bufferSize'>,
  maxSharedBytes: number,
): void {
  const { bytes } = swapInSharedLayout(sizes);
  if (bytes <= maxSharedBytes) return;
  throw new EngineOptionError({
    subject: `a swap-in with top_k ${sizes.topK} and device_buffer_size ${sizes.bufferSize}`,
    expected: `at most ${maxSharedBytes} bytes of shared memory, as the device has`,
    actual: `${bytes}`,
    remedy: 'Choose a smaller device_buffer_size.',
  });
}
