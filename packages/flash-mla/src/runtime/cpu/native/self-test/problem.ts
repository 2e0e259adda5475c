import type { JobLayout } from '@flash-mla/machine-code';

/** A piece of memory that a kernel may touch. */
export interface Operand {
  readonly at: number;
  readonly bytes: number;
  /** Where the words of 32 bits lie that hold addresses in it. */
  readonly pointers: readonly number[];
}

/** A job with its memory, and what must come of it. */
export interface NativeProblem {
  readonly memory: Uint8Array<ArrayBuffer>;
  /** Where the job lies. */
  readonly job: number;
  /** Everything that the kernel may touch, the job included: of the rest of the memory it knows nothing. */
  readonly operands: readonly Operand[];
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
  readonly #taken: { at: number; bytes: number }[] = [];
  /** Where what was taken ends. */
  bytes = 128;

  /** Room for so many numbers of 32 bits. */
  take(count: number): number {
    return this.takeBytes(4 * count);
  }

  takeBytes(bytes: number): number {
    const at = Math.ceil(this.bytes / 64) * 64;
    this.bytes = at + bytes;
    this.#taken.push({ at, bytes });
    return at;
  }

  /** The job and what it points to; `lists`: further words with addresses, by the place they point into. */
  operands(
    { bytes, offsets }: JobLayout,
    fields: Readonly<Record<string, number>>,
    lists: ReadonlyMap<number, readonly number[]> = new Map(),
  ): Operand[] {
    const places = this.#taken.map(({ at, bytes }) => {
      const names = Object.keys(fields).filter((name) => fields[name] === at);
      const pointers = names.map((name) => offsets.get(name)?.offset ?? Number.NaN);
      return { at, bytes, pointers: [...pointers, ...(lists.get(at) ?? [])] };
    });
    return [{ at: 0, bytes, pointers: [] }, ...places];
  }
}

/** Memory in which every number of f32 or bf16 is NaN: what a kernel must not use has it. */
export const memoryOfNaN = (bytes: number): Uint8Array<ArrayBuffer> =>
  new Uint8Array(bytes).fill(0xff);

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
