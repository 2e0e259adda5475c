import { MarkerScanner } from './marker-scanner.ts';
import type { OutputParser, OutputPart } from './parts.ts';

/** A parameter of a call, as a family's tags name it. */
export interface TaggedParameter {
  readonly name: string;
  /** Its value as JSON. */
  readonly json: string;
}

/** How a family writes calls whose arguments are tags, one for each parameter. */
export interface TaggedCallFormat {
  /** Around all calls; undefined where calls stand alone. */
  readonly section: { readonly begin: string; readonly end: string } | undefined;
  readonly callBegin: string;
  readonly callEnd: string;
  /** Ends a call's name. */
  readonly nameEnds: readonly string[];
  readonly parameterBegin: string;
  readonly parameterEnd: string;
  /** From what stands between `parameterBegin` and `parameterEnd`. */
  readonly readParameter: (text: string, tool: string) => TaggedParameter;
}

/** Tool calls with a tag for each parameter. A parameter's value appears when its tag is closed. */
export class TaggedCallParser implements OutputParser {
  readonly isThinking = false;
  readonly #scanner = new MarkerScanner();
  readonly #format: TaggedCallFormat;
  #state: 'text' | 'section' | 'name' | 'call' | 'parameter' = 'text';
  #pending = '';
  #tool = '';
  #numCalls = 0;
  #numParameters = 0;

  constructor(format: TaggedCallFormat) {
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
    return this.#state === 'text' && rest !== '' ? [{ kind: 'text', text: rest }] : [];
  }

  #step(parts: OutputPart[]): boolean {
    const { section, callBegin, callEnd, nameEnds, parameterBegin, parameterEnd } = this.#format;
    if (this.#state === 'text') {
      const { before, marker } = this.#scanner.next([section?.begin ?? callBegin]);
      if (before !== '') parts.push({ kind: 'text', text: before });
      if (marker !== undefined) this.#enter(section === undefined ? 'name' : 'section');
      return marker !== undefined;
    }
    if (this.#state === 'section') {
      const { marker } = this.#scanner.next([callBegin, section?.end ?? callBegin]);
      if (marker !== undefined) this.#enter(marker === callBegin ? 'name' : 'text');
      return marker !== undefined;
    }
    if (this.#state === 'name') {
      const { before, marker } = this.#scanner.next([...nameEnds, parameterBegin, callEnd]);
      this.#pending += before;
      if (marker === undefined) return false;
      this.#begin(parts);
      if (marker === callEnd) this.#end(parts);
      else this.#enter(marker === parameterBegin ? 'parameter' : 'call');
      return true;
    }
    if (this.#state === 'call') {
      const { marker } = this.#scanner.next([parameterBegin, callEnd]);
      if (marker === callEnd) this.#end(parts);
      else if (marker !== undefined) this.#enter('parameter');
      return marker !== undefined;
    }
    const { before, marker } = this.#scanner.next([parameterEnd]);
    this.#pending += before;
    if (marker === undefined) return false;
    this.#parameter(parts);
    this.#enter('call');
    return true;
  }

  #enter(state: 'text' | 'section' | 'name' | 'call' | 'parameter'): void {
    this.#state = state;
    this.#pending = '';
  }

  #begin(parts: OutputPart[]): void {
    this.#tool = this.#pending.trim();
    this.#numParameters = 0;
    parts.push({ kind: 'call', call: this.#numCalls++, name: this.#tool });
  }

  #parameter(parts: OutputPart[]): void {
    const { name, json } = this.#format.readParameter(this.#pending, this.#tool);
    const separator = this.#numParameters++ === 0 ? '{' : ', ';
    const text = `${separator}${JSON.stringify(name)}: ${json}`;
    parts.push({ kind: 'arguments', call: this.#numCalls - 1, text });
  }

  #end(parts: OutputPart[]): void {
    const text = this.#numParameters === 0 ? '{}' : '}';
    parts.push({ kind: 'arguments', call: this.#numCalls - 1, text });
    this.#enter(this.#format.section === undefined ? 'text' : 'section');
  }
}
