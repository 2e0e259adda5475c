/** What a launch did, added up over all its threads. */
export interface Counters {
  /** Instructions that warps issued, and times the lanes that took part. */
  warpInstructions: number;
  threadInstructions: number;
  /** Warp instructions by kind (see `InstructionKind`). */
  byKind: Record<string, number>;
  globalLoadBytes: number;
  globalStoreBytes: number;
  /** 32-byte sectors touched per access: bytes / 32 if every access is dense. */
  globalSectors: number;
  sharedLoadBytes: number;
  sharedStoreBytes: number;
  /** Passes over the 32 banks, and how many of them were needed because of conflicts. */
  sharedPasses: number;
  sharedConflicts: number;
  atomicOperations: number;
}

export function newCounters(): Counters {
  return {
    warpInstructions: 0,
    threadInstructions: 0,
    byKind: {},
    globalLoadBytes: 0,
    globalStoreBytes: 0,
    globalSectors: 0,
    sharedLoadBytes: 0,
    sharedStoreBytes: 0,
    sharedPasses: 0,
    sharedConflicts: 0,
    atomicOperations: 0,
  };
}

const banks = 32;
const words = new Int32Array(banks * banks);
const used = new Int32Array(banks);

/**
 * Passes over the banks for `count` accesses of `size` bytes at these word indices (of one warp, in
 * lane order). Wider accesses are served in groups of lanes that cover 128 bytes.
 * @returns passes, and those beyond one per group.
 */
export function bankPasses(
  starts: Int32Array,
  count: number,
  size: number,
): { passes: number; conflicts: number } {
  const wordsEach = size <= 4 ? 1 : size / 4;
  const perGroup = banks / wordsEach;
  let passes = 0;
  let groups = 0;
  for (let first = 0; first < count; first += perGroup) {
    used.fill(0);
    let most = 1;
    const last = Math.min(first + perGroup, count);
    for (let i = first; i < last; i++) {
      for (let j = 0; j < wordsEach; j++) {
        const word = starts[i] + j;
        const bank = word & (banks - 1);
        const n = used[bank];
        let known = false;
        for (let k = 0; k < n && !known; k++) known = words[bank * banks + k] === word;
        if (known) continue;
        words[bank * banks + n] = word;
        used[bank] = n + 1;
        if (n + 1 > most) most = n + 1;
      }
    }
    passes += most;
    groups++;
  }
  return { passes, conflicts: passes - groups };
}
