import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { findKoffi } from '../find-koffi.ts';
import { findNative } from '../index.ts';
import { type NativeProgram, programsOf } from '../programs.ts';
import { selfTest } from './self-test.ts';
import { verdictOn } from './verdicts.ts';

const selection = { kind: 'avx2', bf16Products: false, passedOver: [] } as const;
const { attend } = programsOf(selection, 'system-v');

/** The problems of a kernel with code of some bytes. */
const withCode = (...bytes: number[]): NativeProgram => ({
  ...attend,
  program: { ...attend.program, bytes: Uint8Array.from(bytes) },
});
const canRun = process.arch === 'x64' && process.platform === 'linux';

describe.skipIf(!canRun)('the self-test, in a process of its own', () => {
  it('passes kernels of the processor', async () => {
    const found = await findNative('any');
    if (found.kind === 'wasm') return;
    const programs = programsOf({ ...found, kind: found.kind }, 'system-v');
    expect(await selfTest(programs.attend, findKoffi())).toBeUndefined();
    if (programs.rows) expect(await selfTest(programs.rows, findKoffi())).toBeUndefined();
  });

  it('outlives code that ends the process', async () => {
    const undefinedInstruction = withCode(0x0f, 0x0b);
    expect(await selfTest(undefinedInstruction, findKoffi())).toMatch(
      /^its self-test failed: its process ended by SIGILL/,
    );
  });

  it('finds code that computes nothing', async () => {
    const justReturn = withCode(0xc3);
    expect(await selfTest(justReturn, findKoffi())).toMatch(/^its self-test is off by /);
  });

  it('says what its process said', async () => {
    const justReturn = withCode(0xc3);
    expect(await selfTest(justReturn, '/no/such/koffi')).toMatch(/^its self-test failed/);
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
