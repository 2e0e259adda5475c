import type { Feature } from '../features/feature.ts';

/** A piece of a program, for the listing. */
export interface Line {
  readonly address: number;
  readonly bytes: Uint8Array;
  /** Intel's syntax; of a constant what it is; of a comment its text; of a label its name. */
  readonly text: string;
  readonly kind: 'instruction' | 'padding' | 'label' | 'comment' | 'constant';
}

/** Finished code. It runs at any address that is a multiple of `alignment`; its first byte is the entry. */
export interface Program {
  readonly name: string;
  /** Code, then constants. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Bytes of the code alone. */
  readonly codeBytes: number;
  readonly alignment: 64;
  /** What the processor must have to run it. */
  readonly features: readonly Feature[];
  /** Offsets of the labels, by name. */
  readonly labels: ReadonlyMap<string, number>;
  readonly lines: readonly Line[];
}
