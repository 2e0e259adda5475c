import { FileFormatError } from '@flash-mla/core';

/**
 * A cursor over the JSON text of a safetensors header. It reads only what the header's grammar can
 * hold (objects of known depth, strings, lists of non-negative integers), so nesting cannot exhaust
 * the stack, `__proto__` is a name like any other and every complaint knows its field. `JSON.parse`
 * would also drop duplicate keys silently.
 */
export class HeaderReader {
  readonly #file: string;
  readonly #text: string;
  #at = 0;

  constructor(file: string, text: string) {
    this.#file = file;
    this.#text = text;
  }

  fail(field: string, expected: string, actual: string): never {
    throw new FileFormatError(this.#file, field, expected, actual);
  }

  /** Reads `{ key: value, … }`; `readValue` must consume the value. Keys may come once each. */
  object(field: string, readValue: (key: string, field: string) => void): void {
    this.#expect('{', field);
    if (this.#take('}')) return;
    const seen = new Set<string>();
    do {
      const key = this.string(`${field} (a key)`);
      const path = `${field}.${shorten(key)}`;
      if (seen.has(key)) this.fail(path, 'each key once', 'a second one');
      seen.add(key);
      this.#expect(':', path);
      readValue(key, path);
    } while (this.#take(','));
    this.#expect('}', field);
  }

  string(field: string): string {
    this.#skipSpace();
    const begin = this.#at;
    if (this.#text[begin] !== '"') this.fail(field, 'a string', this.#here());
    let end = begin;
    do {
      end = this.#text.indexOf('"', end + 1);
      if (end === -1) this.fail(field, 'a closed string', 'the end of the header');
    } while (this.#isEscaped(end));
    this.#at = end + 1;
    try {
      return JSON.parse(this.#text.slice(begin, end + 1)) as string;
    } catch {
      return this.fail(field, 'a valid JSON string', shorten(this.#text.slice(begin, end + 1)));
    }
  }

  /** Reads `[ n, … ]` of at most `limit` non-negative integers. */
  integers(field: string, limit: number): number[] {
    this.#expect('[', field);
    const values: number[] = [];
    if (this.#take(']')) return values;
    do {
      if (values.length === limit) this.fail(field, `at most ${limit} integers`, 'more');
      values.push(this.#integer(`${field}[${values.length}]`));
    } while (this.#take(','));
    this.#expect(']', field);
    return values;
  }

  /** Nothing but padding may follow. */
  end(field: string): void {
    this.#skipSpace();
    if (this.#at < this.#text.length) {
      this.fail(field, 'nothing but spaces after the JSON', this.#here());
    }
  }

  #integer(field: string): number {
    this.#skipSpace();
    const begin = this.#at;
    while (isNumberPart(this.#text.charCodeAt(this.#at))) this.#at++;
    const word = this.#text.slice(begin, this.#at);
    const value = Number(word);
    if (/^(?:0|[1-9]\d{0,15})$/.test(word) && Number.isSafeInteger(value)) return value;
    return this.fail(
      field,
      `an integer from 0 to ${Number.MAX_SAFE_INTEGER}`,
      word === '' ? this.#here() : shorten(word),
    );
  }

  #isEscaped(quote: number): boolean {
    let backslashes = 0;
    while (this.#text[quote - 1 - backslashes] === '\\') backslashes++;
    return backslashes % 2 === 1;
  }

  #expect(character: string, field: string): void {
    if (!this.#take(character)) this.fail(field, `'${character}'`, this.#here());
  }

  #take(character: string): boolean {
    this.#skipSpace();
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #skipSpace(): void {
    for (;;) {
      const code = this.#text.charCodeAt(this.#at);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
      this.#at++;
    }
  }

  #here(): string {
    if (this.#at >= this.#text.length) return 'the end of the header';
    const excerpt = JSON.stringify(this.#text.slice(this.#at, this.#at + 16));
    return `${excerpt} at character ${this.#at}`;
  }
}

/** Digits, signs, points and exponents: what a reader of any JSON number would consume. */
function isNumberPart(code: number): boolean {
  return (
    (code >= 0x30 && code <= 0x39) ||
    code === 0x2b ||
    code === 0x2d ||
    code === 0x2e ||
    code === 0x45 ||
    code === 0x65
  );
}

/** Names come from the file: they may be long and hold anything. */
export function shorten(text: string): string {
  const shown = text.length > 60 ? `${text.slice(0, 60)}…` : text;
  return JSON.stringify(shown).slice(1, -1);
}
