import { InvalidArgumentError } from '@flash-mla/core';
import { expect } from 'vitest';
import type { RecordingBackend } from './recording-backend.ts';

/** The call must throw, name the argument, enqueue nothing and leave nothing allocated. */
export function expectRefusal(
  backend: RecordingBackend,
  call: () => unknown,
  argument: string,
  message?: RegExp,
): void {
  const before = new Set(backend.live);
  const calls = backend.calls.length;
  let error: unknown;
  try {
    call();
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toBeInstanceOf(InvalidArgumentError);
  expect((error as InvalidArgumentError).argument).toBe(argument);
  if (message) expect((error as Error).message).toMatch(message);
  expect(backend.calls).toHaveLength(calls);
  expect([...backend.live].filter((buffer) => !before.has(buffer))).toEqual([]);
}
