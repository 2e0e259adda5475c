// Where machine code is not to be had, WebAssembly does the work, and the device says why.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { BackendUnavailableError } from '@flash-mla/core';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Koffi } from './require-koffi.ts';
import { nativeKinds } from './selection.ts';
import { runs } from './testing/machine.ts';

afterEach(() => {
  vi.doUnmock('./find-koffi.ts');
  vi.doUnmock('./require-koffi.ts');
  vi.doUnmock('./self-test/verdicts.ts');
  vi.unstubAllEnvs();
});

/** What is found by a process that has not looked before. */
async function findAnew() {
  vi.resetModules();
  const { findNative } = await import('./index.ts');
  return findNative('any');
}

async function expectWasm(reason: RegExp): Promise<void> {
  const { kind, start, pages, passedOver } = await findAnew();
  expect({ kind, start, pages }).toEqual({ kind: 'wasm', start: undefined, pages: undefined });
  expect(passedOver.map((each) => each.kind)).toEqual(nativeKinds);
  for (const each of passedOver) expect(each.reason).toMatch(reason);
}

describe('without koffi', () => {
  const withoutKoffi = () =>
    vi.doMock('./find-koffi.ts', () => ({
      findKoffi: () => {
        throw new Error("Cannot find module 'koffi'\nRequire stack: …");
      },
    }));

  it('WebAssembly does the work, and says so', async () => {
    withoutKoffi();
    await expectWasm(/^Cannot find module 'koffi'$/);
  });

  it('kernels that were asked for are refused with the reason', async () => {
    withoutKoffi();
    vi.stubEnv('FLASH_MLA_CPU', 'avx2');
    await expect(findAnew()).rejects.toMatchObject({
      name: BackendUnavailableError.name,
      message: expect.stringMatching(/asks for avx2 kernels.*avx2: Cannot find module 'koffi'/s),
    });
  });
});

describe.skipIf(!runs(['avx2']))('where the operating system forbids it', () => {
  /** Calls of the C library, one of them replaced. */
  const withCall = (name: string, result: unknown) =>
    vi.doMock('./require-koffi.ts', async (original) => {
      const { requireKoffi } = await original<typeof import('./require-koffi.ts')>();
      return {
        requireKoffi: (path: string) => {
          const koffi: Koffi = requireKoffi(path);
          return new Proxy(koffi, {
            get(target, key) {
              if (key !== 'load') return Reflect.get(target, key) as unknown;
              return (file: string | null) => {
                const library = target.load(file);
                return {
                  func: (...call: Parameters<typeof library.func>) =>
                    call[0] === name ? () => result : library.func(...call),
                };
              };
            },
          });
        },
      };
    });

  it('pages cannot be made executable', async () => {
    withCall('mprotect', -1);
    await expectWasm(/^mprotect to executable: errno/);
  });

  it('there are no pages', async () => {
    withCall('mmap', 0xffffffffffffffffn);
    await expectWasm(/^mmap of 65536 bytes: errno/);
  });

  it.skipIf(!runs(['amx_bf16']))('the tile registers are refused: AVX-512 is next', async () => {
    withCall('syscall', -1);
    // The self-test has tests of its own; here only the choice is of interest.
    vi.doMock('./self-test/verdicts.ts', () => ({ verdictOn: async () => undefined }));
    const { kind, passedOver } = await findAnew();
    expect(kind).toBe('avx512');
    expect(passedOver[0]?.reason).toMatch(/^the kernel refused: errno/);
  });
});

it('on another processor WebAssembly does the work', async () => {
  const arch = Object.getOwnPropertyDescriptor(process, 'arch') as PropertyDescriptor;
  Object.defineProperty(process, 'arch', { ...arch, value: 'arm64' });
  try {
    await expectWasm(/^there are no kernels for arm64$/);
  } finally {
    Object.defineProperty(process, 'arch', arch);
  }
});

it('under the permission model without addons a device opens and computes', () => {
  const permission = process.allowedNodeEnvironmentFlags.has('--permission')
    ? '--permission'
    : '--experimental-permission';
  const library = fileURLToPath(new URL('../../../../dist/index.js', import.meta.url));
  const script = `
    const { linear, openDevice } = await import(${JSON.stringify(library)});
    const device = await openDevice('cpu', { threads: 1 });
    const x = device.tensor(new Float32Array(32).fill(1), [1, 32], 'f32');
    const out = await linear({ x, weight: x }).readFloat32();
    console.log(JSON.stringify({ ...device.info.details, sum: out[0] }));
    await device.dispose();`;
  const { stdout, stderr } = spawnSync(
    process.execPath,
    [permission, '--allow-fs-read=*', '--allow-worker', '--input-type=module', '--eval', script],
    { encoding: 'utf8', timeout: 60_000, env: { ...process.env, FLASH_MLA_CPU: '' } },
  );
  expect(stdout, stderr).toMatch(/"sum":32/);
  expect(JSON.parse(stdout)).toMatchObject({ kernels: 'wasm' });
  expect(stdout).toMatch(/"not avx2":"[^"]*(disabled|permission|ERR_)/i);
});
