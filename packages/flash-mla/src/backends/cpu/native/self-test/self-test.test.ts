import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Program } from '@flash-mla/machine-code';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { findKoffi } from '../find-koffi.ts';
import { findNative } from '../index.ts';
import { attendKernels } from '../kernels/attend/attend.ts';
import { selfTest } from './self-test.ts';
import { verdictOn } from './verdicts.ts';

/** Code of some bytes, which is called as a kernel. */
const program = (...bytes: number[]): Program => ({
  ...attendKernels.avx2.assemble('system-v'),
  bytes: Uint8Array.from(bytes),
});
const canRun = process.arch === 'x64' && process.platform === 'linux';

describe.skipIf(!canRun)('the self-test, in a process of its own', () => {
  it('passes kernels of the processor', async () => {
    const { kind } = await findNative('any');
    if (kind === 'wasm') return;
    const kernel = attendKernels[kind].assemble('system-v');
    expect(await selfTest(kind, kernel, findKoffi())).toBeUndefined();
  });

  it('outlives code that ends the process', async () => {
    const undefinedInstruction = program(0x0f, 0x0b);
    expect(await selfTest('avx2', undefinedInstruction, findKoffi())).toMatch(
      /^its self-test failed: its process ended by SIGILL/,
    );
  });

  it('finds code that computes nothing', async () => {
    const justReturn = program(0xc3);
    expect(await selfTest('avx2', justReturn, findKoffi())).toMatch(/^its self-test is off by /);
  });

  it('says what its process said', async () => {
    const justReturn = program(0xc3);
    expect(await selfTest('avx2', justReturn, '/no/such/koffi')).toMatch(/^its self-test failed/);
  });
});

describe('verdicts', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'verdicts-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it('are kept where they are good, for the very same code', async () => {
    const test = vi.fn(async () => undefined);
    await verdictOn([new Uint8Array([1, 2]), 'one'], test, folder);
    await verdictOn([new Uint8Array([1, 2]), 'one'], test, folder);
    expect(test).toHaveBeenCalledTimes(1);
    await verdictOn([new Uint8Array([1, 3]), 'one'], test, folder);
    await verdictOn([new Uint8Array([1, 2]), 'two'], test, folder);
    expect(test).toHaveBeenCalledTimes(3);
  });

  it('are found anew where they are bad', async () => {
    const test = vi.fn(async () => 'wrong');
    expect(await verdictOn(['a'], test, folder)).toBe('wrong');
    expect(await verdictOn(['a'], test, folder)).toBe('wrong');
    expect(test).toHaveBeenCalledTimes(2);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('need no folder that can be written to', async () => {
    const file = join(folder, 'file');
    writeFileSync(file, '');
    const test = vi.fn(async () => undefined);
    expect(await verdictOn(['a'], test, file)).toBeUndefined();
    expect(await verdictOn(['a'], test, file)).toBeUndefined();
    expect(test).toHaveBeenCalledTimes(2);
  });
});
