/** HiSparse's swap-in: rows of K/V from the host's cache into hot buffers. */

export { type SwapInCacheDType, type SwapInOptions, type SwappedIn, swapIn } from './swap-in.ts';
