/** A job with its memory, and what must come of it. */
export interface NativeProblem {
  readonly memory: Uint8Array<ArrayBuffer>;
  /** Where the job lies. */
  readonly job: number;
  /** By how much results may be off. */
  readonly tolerance: number;
  /** The largest distance from the expected results, relative to their size; infinite for NaN. */
  errorOf(memory: Uint8Array): number;
}

/** Numbers from −½ to ½, the same each time. */
export function seededNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return (state >> 8) / 2 ** 24;
  };
}

/** Keeps the largest relative distance of numbers from what they should be. */
export class WorstError {
  worst = 0;

  compare(found: number, expected: number): void {
    const error = Math.abs(found - expected) / Math.max(1, Math.abs(expected));
    this.worst = Math.max(this.worst, Number.isNaN(error) ? Number.POSITIVE_INFINITY : error);
  }
}

/** Gives out places in a memory that begins with a job of at most 128 bytes; all are 64 bytes apart. */
export class Places {
  end = 128;

  /** Room for so many numbers of 32 bits. */
  take(count: number): number {
    const at = this.end;
    this.end = Math.ceil((at + 4 * count) / 64) * 64;
    return at;
  }
}

/** One online-softmax step of a row, in float64. */
export interface Row {
  readonly sum: number;
  readonly decay: number;
  /** Of each token that the row sees. */
  readonly p: readonly number[];
}

/**
 * What a row's statistics become by these logits in base 2, relative to the maximum that a kernel has kept. That
 * may be an old one: then no logit may be above it by more than 8.
 */
export function attendRow(
  logits: readonly number[],
  oldTop: number,
  oldSum: number,
  keptTop: number,
): Row | undefined {
  const highest = Math.max(...logits);
  const isOld = Object.is(keptTop, Math.fround(oldTop)) && highest <= oldTop + 8;
  const isNew = Math.abs(keptTop - Math.max(oldTop, highest)) < 1e-4;
  if (!isOld && !isNew) return undefined;
  const decay = 2 ** (oldTop - keptTop);
  const p = logits.map((logit) => 2 ** (logit - keptTop));
  return { decay, p, sum: p.reduce((sum, x) => sum + x, oldSum * decay) };
}
