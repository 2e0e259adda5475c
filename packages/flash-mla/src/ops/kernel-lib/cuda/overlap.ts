import type { Ops } from '@flash-mla/ptx';

/**
 * What a kernel that is launched with `overlap` begins with: the next kernel may be scheduled from here on,
 * and nothing is read before the kernels ahead are done. Nothing below sm_90, which knows no such launches.
 */
export function beginOverlapped(k: Ops): void {
  if (k.target.sm < 90) return;
  k.launchDependents();
  k.waitForDependencies();
}
