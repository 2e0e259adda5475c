import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { embeddedCode, type NativeCode } from '../code.ts';
import { findKoffi } from '../find-koffi.ts';
import { findNative } from '../index.ts';
import { kernelNames, namesOf } from '../kernel-names.ts';
import { allPrograms } from '../programs.ts';
import { selfTest } from './self-test.ts';
import { verdictOn } from './verdicts.ts';

/** Code of some bytes in place of a kernel's. */
const withCode = (...bytes: number[]): NativeCode => ({
  name: 'attend_avx2',
  bytes: Uint8Array.from(bytes),
  tiles: false,
});
const canRun = process.arch === 'x64' && process.platform === 'linux';

describe.skipIf(!canRun)('the self-test, in a process of its own', () => {
  it('passes kernels of the processor', async () => {
    const found = await findNative('any');
    if (found.kind === 'wasm') return;
    const code = await embeddedCode('system-v');
    for (const name of namesOf(kernelNames({ ...found, kind: found.kind }))) {
      expect(await selfTest(code(name), findKoffi())).toBeUndefined();
    }
  });

  it('outlives code that ends the process', async () => {
    const undefinedInstruction = withCode(0x0f, 0x0b);
    expect(await selfTest(undefinedInstruction, findKoffi())).toMatch(
      /^the self-test of attend_avx2 failed: its process ended by SIGILL/,
    );
  });

  it('finds code that computes nothing', async () => {
    const justReturn = withCode(0xc3);
    expect(await selfTest(justReturn, findKoffi())).toMatch(/attend_avx2 is off by /);
  });

  it('says what its process said', async () => {
    const justReturn = withCode(0xc3);
    expect(await selfTest(justReturn, '/no/such/koffi')).toMatch(/attend_avx2 failed: /);
  });
});

describe('the code that the build has made', () => {
  it.each(['system-v', 'windows'] as const)('is what the sources say (%s)', async (abi) => {
    const code = await embeddedCode(abi);
    for (const { name, bytes, features } of allPrograms(abi)) {
      expect(Buffer.compare(code(name).bytes, bytes), name).toBe(0);
      expect(code(name).tiles).toBe(features.includes('amx_tile'));
    }
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
