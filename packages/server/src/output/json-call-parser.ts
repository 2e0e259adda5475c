import { MarkerScanner } from './marker-scanner.ts';
import type { OutputParser, OutputPart } from './parts.ts';

/** How a family writes calls whose arguments are JSON: a section with calls in it. */
export interface JsonCallFormat {
  readonly sectionBegin: string;
  readonly sectionEnd: string;
  readonly callBegin: string;
  /** Stands between a call's header and its arguments. */
  readonly headerEnd: string;
  readonly callEnd: string;
  readonly readHeader: (header: string) => { readonly name: string; readonly id?: string };
  /** The header of a call, as a grammar forces it. */
  readonly writeHeader: (name: string) => string;
}

/** Tool calls with JSON arguments; what is outside of the section is text. */
export class JsonCallParser implements OutputParser {
  readonly isThinking = false;
  readonly #scanner = new MarkerScanner();
  readonly #format: JsonCallFormat;
  #state: 'text' | 'section' | 'header' | 'arguments' = 'text';
  #header = '';
  #numCalls = 0;

  constructor(format: JsonCallFormat) {
    this.#format = format;
  }

  push(text: string): OutputPart[] {
    this.#scanner.push(text);
    const parts: OutputPart[] = [];
    while (this.#step(parts));
    return parts;
  }

  flush(): OutputPart[] {
    const rest = this.#scanner.rest();
    if (rest === '') return [];
    if (this.#state === 'text') return [{ kind: 'text', text: rest }];
    return this.#state === 'arguments' ? this.#arguments(rest) : [];
  }

  /** Reads up to the next marker; false when there is none yet. */
  #step(parts: OutputPart[]): boolean {
    const { sectionBegin, sectionEnd, callBegin, headerEnd, callEnd } = this.#format;
    if (this.#state === 'text') {
      const { before, marker } = this.#scanner.next([sectionBegin]);
      if (before !== '') parts.push({ kind: 'text', text: before });
      if (marker !== undefined) this.#state = 'section';
      return marker !== undefined;
    }
    if (this.#state === 'section') {
      const { marker } = this.#scanner.next([callBegin, sectionEnd]);
      if (marker !== undefined) this.#state = marker === callBegin ? 'header' : 'text';
      this.#header = '';
      return marker !== undefined;
    }
    if (this.#state === 'header') {
      const { before, marker } = this.#scanner.next([headerEnd, callEnd, sectionEnd]);
      this.#header += before;
      // A call that ends before its arguments has none that could be run.
      if (marker === headerEnd) parts.push(this.#begin());
      if (marker !== undefined) this.#state = marker === headerEnd ? 'arguments' : 'section';
      return marker !== undefined;
    }
    const { before, marker } = this.#scanner.next([callEnd]);
    parts.push(...this.#arguments(before));
    if (marker !== undefined) this.#state = 'section';
    return marker !== undefined;
  }

  #begin(): OutputPart {
    return { kind: 'call', call: this.#numCalls++, ...this.#format.readHeader(this.#header) };
  }

  #arguments(text: string): OutputPart[] {
    return text === '' ? [] : [{ kind: 'arguments', call: this.#numCalls - 1, text }];
  }
}
