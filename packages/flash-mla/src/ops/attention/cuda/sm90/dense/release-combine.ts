import type { Ops, Value } from '@flash-mla/ptx';

/**
 * Lets CTAs of the combine take their places when a part's last results are about to be written. At a
 * kernel's start they would all gather on the few multiprocessors that have no part; and after the last
 * store they would come late. They count on everything older than this kernel to be done, which it has
 * waited for itself.
 */
export function releaseCombine(k: Ops, isLast: Value<'pred'>): void {
  k.if(isLast, () => k.launchDependents(), { uniform: true });
}
