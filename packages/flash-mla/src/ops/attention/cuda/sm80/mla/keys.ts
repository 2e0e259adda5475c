import type { MemType, Pointer, Value } from '@flash-mla/ptx';
import type { Steps } from '../../../../kernel-lib/cuda/sm80/steps.ts';
import type { Scores } from './scores.ts';

/**
 * Where key rows come from. The main loop calls `seek` one tile ahead of `fetch`, so that what tells
 * the rows' addresses has arrived by then.
 */
export interface KeySource {
  /** Reads what `fetch` will need to know of this tile; it may lie beyond the last. */
  seek(tile: Value<'u32'>): void;
  /**
   * Starts copying the tile that was sought last: into a stage, or packed rows into their slots. Only
   * where `wanted` holds, if it is given.
   */
  fetch(tile: Value<'u32'>, stage: Value<'u32'>, wanted?: Value<'pred'>): Steps;
  /** Packed rows: decodes what this thread fetched last into the one stage. */
  decode?(): void;
}

/** Sets the scores of tokens that a row does not see to −inf. */
export type ScoreMask = (tile: Value<'u32'>, stage: Value<'u32'>, scores: Scores) => void;

/** Finds the rows of a tile that one thread helps to copy. */
export interface RowLookup {
  /** Reads what `locate` needs to know of this tile. */
  seek(tile: Value<'u32'>): void;
  /** Leaves word for the mask of what the tile sought last lacks, when its copies into a stage begin. */
  note?(tile: Value<'u32'>, stage: Value<'u32'>): void;
  /** The thread's `i`-th row of the tile sought last. */
  locate(tile: Value<'u32'>, i: number): LocatedRow;
}

export interface LocatedRow {
  /** Whether the row counts; the addresses of others mean nothing. */
  readonly present: Value<'pred'>;
  readonly from: Pointer<'global', MemType>;
  /** Packed rows with scales apart from the values: where they are. */
  readonly scales?: Pointer<'global', MemType> | undefined;
}
