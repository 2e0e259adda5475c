/** New tokens of one sequence in a step. */
export interface Sequence {
  /** Page i of the cache holds positions i · pageSize and up. Enough for the new tokens. */
  readonly pages: ArrayLike<number>;
  /** Position of the first new token: those before are in the cache. */
  readonly start: number;
  /** How many tokens are new. */
  readonly count: number;
  /** The first one's row in the batch. */
  readonly row: number;
  /** Pages of the index keys, where these are not `pages`: with HiSparse they are those of the host. */
  readonly indexPages?: ArrayLike<number>;
  /** With HiSparse, of a sequence that is decoded: its row in the tables of the hot buffers. */
  readonly hotRow?: number;
}

/** What a model computes in one step: new tokens of several sequences, one row each. */
export interface Batch {
  readonly tokens: Int32Array;
  /** Of each token in its sequence. */
  readonly positions: Int32Array;
  readonly sequences: readonly Sequence[];
}

/** New tokens of a sequence, as a caller has them. */
export interface SequenceTokens {
  readonly tokens: ArrayLike<number>;
  readonly start: number;
  readonly pages: ArrayLike<number>;
  readonly indexPages?: ArrayLike<number>;
  readonly hotRow?: number;
}

/** Puts the new tokens of sequences one after the other. */
export function makeBatch(parts: readonly SequenceTokens[]): Batch {
  const rows = parts.reduce((sum, { tokens }) => sum + tokens.length, 0);
  const tokens = new Int32Array(rows);
  const positions = new Int32Array(rows);
  let row = 0;
  const sequences = parts.map(({ tokens: own, start, pages, indexPages, hotRow }) => {
    const sequence: Sequence = {
      ...{ pages, start, count: own.length, row },
      ...(indexPages !== undefined && { indexPages }),
      ...(hotRow !== undefined && { hotRow }),
    };
    tokens.set(own, row);
    for (let i = 0; i < own.length; i++) positions[row + i] = start + i;
    row += own.length;
    return sequence;
  });
  return { tokens, positions, sequences };
}

/** The cache's row of a position. */
export function slotOf(pages: ArrayLike<number>, position: number, pageSize: number): number {
  return (pages[Math.floor(position / pageSize)] ?? 0) * pageSize + (position % pageSize);
}
