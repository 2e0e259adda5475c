import type { TokenConstraint } from '@flash-mla/engine';
import type { GrammarSpec } from '../generate/request.ts';

/** Compiles grammars, and makes of each a constraint for every choice of a request. */
export interface Grammars {
  /**
   * @param after the grammar holds only behind this token
   * @throws GrammarError where the grammar is wrong, too large, or takes too long
   */
  prepare(spec: GrammarSpec, after?: number): Promise<(index: number) => TokenConstraint>;
  close(): Promise<void>;
}
