import {
  BackendUnavailableError,
  DisposedError,
  FileFormatError,
  FlashMlaError,
  InvalidArgumentError,
  OutOfMemoryError,
} from '@flash-mla/core';
import { expect } from 'vitest';

/** Counts how malformed input ended and fails at once where that is not a typed error. */
export class Outcomes {
  readonly fields = new Map<string, number>();
  refused = 0;
  accepted = 0;

  /** `describe` says what was tried; called only where the outcome is wrong. */
  refuse(error: unknown, describe: () => string): void {
    if (!(error instanceof FlashMlaError)) {
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
      throw new Error(`${describe()} ended in an untyped error: ${text}`);
    }
    const field = fieldOf(error);
    if (field === '') throw new Error(`${describe()} names no argument: ${error.message}`);
    // A message is for people: it must not carry the input back at its full length.
    if (error.message.length > 2000)
      throw new Error(`${describe()}: a message of ${error.message.length}`);
    this.refused++;
    this.fields.set(field, (this.fields.get(field) ?? 0) + 1);
  }

  accept(): void {
    this.accepted++;
  }

  /** Each kind of mistake must have been met: a fuzzer that stops at the first check finds nothing. */
  expectSpread(refused: number, distinctFields: number): void {
    expect(this.refused).toBeGreaterThanOrEqual(refused);
    expect(this.fields.size).toBeGreaterThanOrEqual(distinctFields);
  }
}

function fieldOf(error: FlashMlaError): string {
  if (error instanceof InvalidArgumentError) return error.argument;
  if (error instanceof FileFormatError) return error.field;
  if (error instanceof OutOfMemoryError) return `${error.requested} bytes`;
  if (error instanceof BackendUnavailableError) return error.backend;
  if (error instanceof DisposedError) return 'disposed';
  return '';
}
