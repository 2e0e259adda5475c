import { parseTarget } from '@flash-mla/ptx';
import type { DeviceFacts } from './driver/driver.ts';

/** What kernel selection knows of a GPU. Plain data: `inspect` makes one up for a GPU that is absent. */
export interface DeviceLimits {
  /** Compute capability × 10, such as 90. */
  readonly sm: number;
  /** PTX target for code that runs on this architecture and its successors, such as `sm_90`. */
  readonly target: string;
  /** PTX target with architecture-specific instructions, such as `sm_90a`; absent where there is none. */
  readonly specificTarget: string | undefined;
  readonly smCount: number;
  /** Shared memory in bytes that one CTA may ask for (opt-in), and that one SM has. */
  readonly maxSharedPerBlock: number;
  readonly maxSharedPerSm: number;
  readonly maxThreadsPerSm: number;
  readonly registersPerSm: number;
  readonly l2Bytes: number;
}

/** The PTX targets that kernels are written for, oldest first. */
const targets = [80, 86, 87, 89, 90, 100, 103, 120, 121] as const;

export function limitsOf(facts: DeviceFacts): DeviceLimits {
  const { sm } = facts;
  return {
    sm,
    target: targetFor(sm),
    specificTarget: isTarget(`sm_${sm}a`) ? `sm_${sm}a` : undefined,
    smCount: facts.smCount,
    maxSharedPerBlock: facts.maxSharedPerBlock,
    maxSharedPerSm: facts.maxSharedPerSm,
    maxThreadsPerSm: facts.maxThreadsPerSm,
    registersPerSm: facts.registersPerSm,
    l2Bytes: facts.l2Bytes,
  };
}

/** Code for the newest known architecture that is no newer runs on a GPU, whatever comes after. */
function targetFor(sm: number): string {
  const known = targets.filter((target) => target <= sm).at(-1) ?? targets[0];
  return `sm_${known}`;
}

function isTarget(name: string): boolean {
  try {
    parseTarget(name);
    return true;
  } catch {
    return false;
  }
}
