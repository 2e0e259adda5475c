import { describe, expect, it } from 'vitest';
import type { Capabilities } from './limits.ts';
import type { WebGpuBuffer } from './memory.ts';
import { alignmentOf, bindRange, bindRows } from './views.ts';

const capabilities = {
  bindingBytes: 1024,
  bufferBytes: 2048,
  offsetAlignment: 256,
} as Capabilities;

/** 5000 bytes: parts of 2048, 2048 and 912. */
const buffer = {
  byteLength: 5000,
  partBytes: 2048,
  parts: [{ size: 2048 }, { size: 2048 }, { size: 912 }],
} as unknown as WebGpuBuffer;

describe('bindRange', () => {
  it.each([
    ['at the beginning', 0, 100, [0, 0, 112], 0],
    ['at an odd place', 300, 402, [0, 256, 160], 44],
    ['in a later part', 2048 + 900, 2048 + 1000, [1, 768, 240], 132],
    ['as large as a binding', 1024, 2048, [0, 1024, 1024], 0],
  ] as const)('covers a range %s', (_, begin, end, [part, offset, size], firstByte) => {
    const bound = bindRange({ buffer, begin, end }, capabilities);
    expect(bound).toEqual({ resource: { buffer: buffer.parts[part], offset, size }, firstByte });
  });

  it('has no binding for what lies across parts or is too large', () => {
    expect(bindRange({ buffer, begin: 2000, end: 2100 }, capabilities)).toBeUndefined();
    expect(bindRange({ buffer, begin: 0, end: 1040 }, capabilities)).toBeUndefined();
    expect(bindRange({ buffer, begin: 200, end: 1224 }, capabilities)).toBeUndefined();
  });
});

describe('bindRows', () => {
  it('covers ranges by whole windows in one address space', () => {
    const first = { buffer, begin: 1500, end: 4300 };
    const second = { buffer, begin: 16, end: 32 };
    const windows = bindRows([first, second], capabilities);
    expect(windows.resources).toEqual([
      { buffer: buffer.parts[0], offset: 1024, size: 1024 },
      { buffer: buffer.parts[1], offset: 0, size: 1024 },
      { buffer: buffer.parts[1], offset: 1024, size: 1024 },
      { buffer: buffer.parts[2], offset: 0, size: 912 },
      { buffer: buffer.parts[0], offset: 0, size: 1024 },
    ]);
    expect(windows.ends).toEqual([1024, 2048, 3072, 3984, 5008]);
    expect(windows.starts).toEqual([1500 - 1024, 3984 + 16]);
  });
});

describe('alignmentOf', () => {
  it.each([
    [[0, 1152, 73728], 16],
    [[0, 584, 12], 4],
    [[2, 1152], 1],
    [[], 16],
  ] as const)('of %j is %i', (bytes, alignment) => {
    expect(alignmentOf(bytes)).toBe(alignment);
  });
});
