import { MarkerScanner } from './marker-scanner.ts';
import type { OutputParser, OutputPart } from './parts.ts';

/**
 * Where thoughts may be. `inside`: the prompt ends with the mark that begins them, so the answer begins
 * with thoughts. `detect`: they are there if the answer begins with the mark.
 */
export type ReasoningMode = 'inside' | 'detect' | 'off';

const [begin, end] = ['<think>', '</think>'];

/** Tells thoughts from the answer; what follows them goes to `after`. */
export class ReasoningParser implements OutputParser {
  readonly #scanner = new MarkerScanner();
  readonly #after: OutputParser;
  #state: 'start' | 'thinking' | 'between' | 'answer';

  constructor(mode: ReasoningMode, after: OutputParser) {
    this.#after = after;
    this.#state = mode === 'inside' ? 'thinking' : mode === 'detect' ? 'start' : 'answer';
  }

  get isThinking(): boolean {
    return this.#state === 'thinking';
  }

  push(text: string): OutputPart[] {
    this.#scanner.push(text);
    const parts: OutputPart[] = [];
    if (this.#state === 'start') this.#start();
    if (this.#state === 'thinking') parts.push(...this.#think());
    if (this.#state === 'between') this.#skipBlank();
    if (this.#state === 'answer') parts.push(...this.#after.push(this.#scanner.rest()));
    return parts;
  }

  flush(): OutputPart[] {
    const rest = this.#scanner.rest();
    const parts = this.#state === 'thinking' ? reasoning(rest) : this.#after.push(rest);
    return [...parts, ...this.#after.flush()];
  }

  /** Blanks may stand before the mark; anything else means that there are no thoughts. */
  #start(): void {
    const text = this.#scanner.rest();
    const blank = /^\s*/.exec(text)?.[0] ?? '';
    const head = text.slice(blank.length);
    if (head.startsWith(begin)) {
      this.#scanner.unread(head.slice(begin.length));
      this.#state = 'thinking';
    } else {
      this.#scanner.unread(text);
      if (!begin.startsWith(head)) this.#state = 'answer';
    }
  }

  #think(): OutputPart[] {
    // A model that was told to think by the prompt may write the mark again.
    const { before, marker } = this.#scanner.next([end, begin]);
    if (marker === end) this.#state = 'between';
    if (marker !== begin) return reasoning(before);
    return [...reasoning(before), ...this.#think()];
  }

  /** Empty lines between thoughts and answer belong to neither. */
  #skipBlank(): void {
    const text = this.#scanner.rest().replace(/^\n+/, '');
    if (text === '') return;
    this.#scanner.unread(text);
    this.#state = 'answer';
  }
}

function reasoning(text: string): OutputPart[] {
  return text === '' ? [] : [{ kind: 'reasoning', text }];
}
