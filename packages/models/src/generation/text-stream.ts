import { Detokenizer } from '../tokenizer/detokenizer.ts';
import { StopStrings } from '../tokenizer/stop-strings.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';

/** The text of one answer as its tokens come, cut before the first stop string. */
export class TextStream {
  readonly #detokenizer: Detokenizer;
  readonly #stops: StopStrings;

  constructor(
    tokenizer: Tokenizer,
    { stop, skipSpecialTokens }: { stop: readonly string[]; skipSpecialTokens: boolean },
  ) {
    this.#detokenizer = new Detokenizer(tokenizer, { skipSpecialTokens });
    this.#stops = new StopStrings(stop);
  }

  /** The text that can be shown, and whether a stop string has ended it. */
  push(token: number): { readonly text: string; readonly stopped: boolean } {
    const { text, stop } = this.#stops.push(this.#detokenizer.push(token));
    return { text, stopped: stop !== undefined };
  }

  /** What was held back, once no more tokens come. */
  flush(): string {
    const { text, stop } = this.#stops.push(this.#detokenizer.flush());
    return stop === undefined ? text + this.#stops.flush() : text;
  }
}
