import type { OutputParser, OutputPart } from './parts.ts';

/** Drops every call but the first one. */
export class SingleCall implements OutputParser {
  readonly #inner: OutputParser;
  constructor(inner: OutputParser) {
    this.#inner = inner;
  }
  get isThinking(): boolean {
    return this.#inner.isThinking;
  }
  push(text: string): OutputPart[] {
    return this.#inner.push(text).filter(isWanted);
  }
  flush(): OutputPart[] {
    return this.#inner.flush().filter(isWanted);
  }
}

function isWanted(part: OutputPart): boolean {
  return !('call' in part) || part.call === 0;
}
