/** HiSparse's swap-in: rows of K/V from the host's cache into hot buffers. */

export { type CopyRowsOptions, copyRows } from './copy-rows.ts';
export type { SwapInCacheDType } from './limits.ts';
export { type SwapInOptions, type SwappedIn, swapIn } from './swap-in.ts';
