/**
 * Sizes of a decode batch for which a graph is worth its memory: 1, 2, 4, then steps of 8 to 64, of 16 to
 * 256, of 32 beyond. The last one is `maxRunning`.
 */
export function defaultBatchSizes(maxRunning: number): number[] {
  const sizes = [1, 2, 4];
  for (let size = 8; size < maxRunning; size += size < 64 ? 8 : size < 256 ? 16 : 32)
    sizes.push(size);
  return [...sizes.filter((size) => size < maxRunning), maxRunning];
}

/** The smallest of the sizes, in rising order, that holds a batch. */
export function paddedBatchSize(sizes: readonly number[], size: number): number {
  if (size === 0) return 0;
  return sizes.find((candidate) => candidate >= size) ?? size;
}
