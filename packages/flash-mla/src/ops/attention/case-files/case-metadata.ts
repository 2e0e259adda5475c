import { FileFormatError } from '@flash-mla/core';
import type { SafetensorsFile } from '@flash-mla/safetensors';

/** Typed reading of a case file's `__metadata__`, whose values are all strings. */
export class CaseMetadata {
  readonly #file: SafetensorsFile;

  constructor(file: SafetensorsFile) {
    this.#file = file;
  }

  text(key: string): string {
    return this.#file.metadata.get(key) ?? this.#fail(key, 'to be there', 'none');
  }

  choice<T extends string>(key: string, choices: readonly T[]): T {
    const value = this.text(key);
    const found = choices.find((choice) => choice === value);
    return found ?? this.#fail(key, `one of ${choices.join(', ')}`, value);
  }

  integer(key: string, low: number, high: number): number {
    const value = this.text(key);
    if (/^\d{1,10}$/.test(value) && Number(value) >= low && Number(value) <= high) {
      return Number(value);
    }
    return this.#fail(key, `an integer from ${low} to ${high}`, value);
  }

  /** A finite number above 0, as Python prints it. */
  scale(key: string): number {
    const value = this.text(key);
    const isNumber = value.length <= 40 && /^\d*\.?\d+(?:[eE][+-]?\d+)?$/.test(value);
    const number = isNumber ? Number(value) : Number.NaN;
    if (number > 0 && number < Number.POSITIVE_INFINITY) return number;
    return this.#fail(key, 'a finite number above 0', value);
  }

  flag(key: string): boolean {
    const value = this.text(key).toLowerCase();
    if (value === 'true' || value === 'false') return value === 'true';
    return this.#fail(key, 'true or false', value);
  }

  has(key: string): boolean {
    return this.#file.metadata.has(key);
  }

  #fail(key: string, expected: string, actual: string): never {
    const shown = actual.length > 40 ? `${actual.slice(0, 40)}…` : actual;
    throw new FileFormatError(this.#file.name, `__metadata__.${key}`, expected, shown);
  }
}
