import type { Sequence } from '@flash-mla/models';

/** Neighbouring sequences with equally many new tokens: one call of the kernel. */
export interface Run {
  readonly row: number;
  readonly count: number;
  readonly sequences: readonly Sequence[];
}

/** Sequences as few runs, in their order. */
export function runsOf(sequences: readonly Sequence[]): Run[] {
  const runs: { row: number; count: number; sequences: Sequence[] }[] = [];
  for (const sequence of sequences) {
    const { row, count } = sequence;
    const last = runs.at(-1);
    const end = last === undefined ? -1 : last.row + last.count * last.sequences.length;
    const isAlike = (last?.sequences[0]?.hotRow === undefined) === (sequence.hotRow === undefined);
    if (last?.count === count && end === row && isAlike) last.sequences.push(sequence);
    else runs.push({ row, count, sequences: [sequence] });
  }
  return runs;
}
