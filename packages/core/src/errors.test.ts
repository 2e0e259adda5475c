import { describe, expect, it } from 'vitest';
import {
  BackendUnavailableError,
  DeviceLostError,
  DisposedError,
  describeValue,
  FileFormatError,
  FlashMlaError,
  InvalidArgumentError,
  KernelCompileError,
  OutOfMemoryError,
} from './errors.ts';

describe('errors', () => {
  const cause = new Error('below');
  const all: [FlashMlaError, string, string][] = [
    [
      new InvalidArgumentError('q', 'dtype bf16', 'f32', 'Convert it.'),
      'InvalidArgumentError',
      'q: expected dtype bf16, got f32. Convert it.',
    ],
    [new InvalidArgumentError('q', 'a', 'b'), 'InvalidArgumentError', 'q: expected a, got b'],
    [
      new BackendUnavailableError(
        'cuda',
        'no driver',
        ['libcuda.so.1: absent'],
        'Install it.',
        cause,
      ),
      'BackendUnavailableError',
      "backend 'cuda' is unavailable: no driver. Looked for: libcuda.so.1: absent. Install it.",
    ],
    [
      new BackendUnavailableError('cuda', 'no driver', [], 'Install it.'),
      'BackendUnavailableError',
      "backend 'cuda' is unavailable: no driver. Install it.",
    ],
    [
      new KernelCompileError('sm90_x', ' ptxas: line 3\n', 'Report it.'),
      'KernelCompileError',
      "kernel 'sm90_x' did not compile: ptxas: line 3 Report it.",
    ],
    [
      new OutOfMemoryError('cpu', 10, 4, 'Free some.'),
      'OutOfMemoryError',
      "device 'cpu' cannot allocate 10 bytes, 4 bytes are free. Free some.",
    ],
    [
      new OutOfMemoryError('cpu', 10, undefined, 'Free some.'),
      'OutOfMemoryError',
      "device 'cpu' cannot allocate 10 bytes. Free some.",
    ],
    [
      new DeviceLostError('cuda:1', 'it fell off the bus', cause),
      'DeviceLostError',
      "device 'cuda:1' is lost: it fell off the bus. Open it again with openDevice(), in a new process if that fails.",
    ],
    [
      new DisposedError('graph'),
      'DisposedError',
      'graph was used after dispose(). Keep it alive until its last use has been enqueued.',
    ],
    [
      DisposedError.whilePending('cpu'),
      'DisposedError',
      "device 'cpu' was disposed of before this was done. Await read() and synchronize() before dispose().",
    ],
    [
      new FileFormatError('a.safetensors', 'header', 'JSON', 'text'),
      'FileFormatError',
      'a.safetensors: header: expected JSON, got text',
    ],
  ];

  it.each(all)('%s: name and message', (error, name, message) => {
    expect(error).toBeInstanceOf(FlashMlaError);
    expect([error.name, error.message]).toEqual([name, message]);
  });

  it('say in fields what a caller may want to show', () => {
    const error = new BackendUnavailableError(
      'cuda',
      'no driver',
      ['here: nothing'],
      'Install it.',
    );
    expect(error).toMatchObject({
      ...{ backend: 'cuda', reason: 'no driver', looked: ['here: nothing'], remedy: 'Install it.' },
    });
  });

  it('keep what caused them', () => {
    expect(all[2]?.[0].cause).toBe(cause);
    expect(all[7]?.[0].cause).toBe(cause);
    expect(all[3]?.[0]).not.toHaveProperty('cause');
  });
});

describe('describeValue', () => {
  it.each([
    [undefined, 'undefined'],
    [null, 'null'],
    [-0, '0'],
    [Number.NaN, 'NaN'],
    [7n, '7n'],
    ['ab', "'ab'"],
    ['x'.repeat(50), `'${'x'.repeat(40)}…'`],
    [Symbol('s'), 'a symbol'],
    [() => 1, 'a function'],
    [{ toString: () => 'ran' }, 'an object'],
    [[1, 'a', {}, [2]], "(1, 'a', …, …)"],
    [new Array(9).fill(0), 'an array of 9'],
    [new Float32Array(3), '12 bytes of binary data'],
    [Object.create(null), 'an object'],
  ])('tells what %o is', (value, text) => {
    expect(describeValue(value)).toBe(text);
  });
});
