import type { Tokenizer } from './tokenizer.ts';

/**
 * A character has four bytes at most and a token one at least, so what is incomplete at the end lies within so many
 * tokens.
 */
const maxIncomplete = 4;
/** A window may grow so far before what is final in it is left behind. */
const maxWindow = 4 * maxIncomplete;

/** Stands for bytes that are no character, or not yet one. */
const replacement = '\ufffd';

/**
 * Turns tokens into text as they come. A character of several tokens appears when its last one is there.
 *
 * Decoders look at the tokens before (a leading space may depend on them), so a window of tokens is
 * decoded again with every one that comes; it begins anew where the text is whole, and where it never gets whole,
 * because the model writes bytes that are no text, after a few tokens.
 */
export class Detokenizer {
  readonly #tokenizer: Tokenizer;
  readonly #skipSpecialTokens: boolean;
  /** The last tokens whose text has been given out, then those that came since. */
  #window: number[] = [];
  /** How many tokens of the window only give context. */
  #context = 0;
  /** Characters of the window's text that have been given out. */
  #given = 0;

  constructor(tokenizer: Tokenizer, { skipSpecialTokens = true } = {}) {
    this.#tokenizer = tokenizer;
    this.#skipSpecialTokens = skipSpecialTokens;
  }

  /** The text that a token completes; empty where a character is still incomplete. */
  push(token: number): string {
    if (this.#skipSpecialTokens && this.#tokenizer.isSpecial(token)) return '';
    this.#window.push(token);
    const text = this.#decode(this.#window);
    // An incomplete character at the end decodes to exactly one replacement; all before it is final.
    const whole = text.endsWith(replacement) ? text.length - 1 : text.length;
    const piece = text.slice(this.#given, whole);
    if (whole === text.length) this.#restart();
    else this.#given = Math.max(this.#given, whole);
    if (this.#window.length >= this.#context + maxWindow) this.#leaveBehind();
    return piece;
  }

  /** What is left at the end: a replacement character where the last one stayed incomplete. */
  flush(): string {
    const rest = this.#decode(this.#window).slice(this.#given);
    this.#window = [];
    this.#context = 0;
    this.#given = 0;
    return rest;
  }

  /** The tokens that came since become the context of those that follow. */
  #restart(): void {
    this.#window = this.#window.slice(this.#context);
    this.#context = this.#window.length;
    this.#given = this.#decode(this.#window).length;
  }

  /** The last tokens, with what may still become a character, are enough to go on with. */
  #leaveBehind(): void {
    this.#window = this.#window.slice(-maxIncomplete);
    this.#context = 0;
    this.#given = this.#decode(this.#window).length - 1;
  }

  #decode(tokens: readonly number[]): string {
    return this.#tokenizer.decode(tokens, { skipSpecialTokens: this.#skipSpecialTokens });
  }
}
