import { BackendUnavailableError } from '@flash-mla/core';
import { describe, expect, it } from 'vitest';
import { StubLibrary, stubLoader } from '../testing/stub-library.ts';
import { openLibcuda } from './load.ts';
import { searchPlaces } from './search.ts';

const linux = { platform: 'linux', variables: { FLASH_MLA_CACHE_DIR: '/nonexistent' } };

async function failure(promise: Promise<unknown>): Promise<BackendUnavailableError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(BackendUnavailableError);
  return error as BackendUnavailableError;
}

describe('the search for libcuda', () => {
  it('looks where each platform keeps the driver', () => {
    const paths = (platform: string) =>
      searchPlaces({ platform, variables: {} }).map(({ path }) => path);
    expect(paths('linux').slice(0, 3)).toEqual([
      'libcuda.so.1',
      'libcuda.so',
      '/usr/lib/wsl/lib/libcuda.so.1',
    ]);
    expect(paths('win32')).toEqual(['nvcuda.dll']);
    expect(paths('darwin')).toEqual([]);
  });

  it('takes FLASH_MLA_LIBCUDA alone when it is set', () => {
    const variables = { FLASH_MLA_LIBCUDA: '/opt/my/libcuda.so' };
    expect(searchPlaces({ platform: 'linux', variables })).toEqual([
      { path: '/opt/my/libcuda.so', origin: 'FLASH_MLA_LIBCUDA' },
    ]);
  });

  it('takes the first library that loads', async () => {
    const wsl = new StubLibrary('/usr/lib/wsl/lib/libcuda.so.1');
    const driver = await openLibcuda(linux, stubLoader(wsl));
    expect(driver.origin).toBe(wsl.path);
    expect(driver.version).toBe(13_000);
    expect(driver.deviceFacts(0)).toMatchObject({ name: 'Stub GPU', sm: 90, smCount: 132 });
  });

  it('says every place it looked at when there is none', async () => {
    const error = await failure(openLibcuda(linux, stubLoader()));
    expect(error.looked).toHaveLength(5);
    expect(error.looked[0]).toBe(
      'libcuda.so.1 (library search path): cannot open shared object file',
    );
    expect(error.remedy).toMatch(/Install the NVIDIA driver/);
  });

  it('says so where CUDA does not exist', async () => {
    const error = await failure(openLibcuda({ platform: 'darwin', variables: {} }, stubLoader()));
    expect(error.message).toMatch(/no CUDA driver for darwin/);
  });

  it('names koffi when it is not installed', async () => {
    const absent = () => Promise.reject(new Error("Cannot find package 'koffi'"));
    const error = await failure(openLibcuda(linux, absent));
    expect(error.remedy).toMatch(/npm install koffi/);
    expect(error.cause).toBeInstanceOf(Error);
  });
});

describe('an unfit driver', () => {
  it('that lacks symbols is named with them and its version', async () => {
    const library = new StubLibrary();
    library.absent.add('cuLaunchKernelEx').add('cuGraphInstantiateWithFlags');
    library.script('cuDriverGetVersion', (stub, out) => stub.i32(out, 11_040));
    const error = await failure(openLibcuda(linux, stubLoader(library)));
    expect(error.message).toMatch(/lacks cuLaunchKernelEx, cuGraphInstantiateWithFlags/);
    expect(error.message).toMatch(/supports CUDA 11\.4/);
    expect(error.remedy).toMatch(/525 or newer/);
  });

  it('that is too old is refused with both versions', async () => {
    const library = new StubLibrary();
    library.script('cuDriverGetVersion', (stub, out) => stub.i32(out, 11_080));
    const error = await failure(openLibcuda(linux, stubLoader(library)));
    expect(error.message).toMatch(/supports CUDA 11\.8, 12\.0 is needed/);
  });

  it('that sees no GPU keeps the driver’s own error and its remedy', async () => {
    const library = new StubLibrary();
    library.script('cuInit', () => 100);
    const error = await failure(openLibcuda(linux, stubLoader(library)));
    expect(error.message).toMatch(/cuInit failed: CUDA_ERROR_100 \(100\): why/);
    expect(error.message).toMatch(/CUDA_VISIBLE_DEVICES/);
    expect(error.cause).toMatchObject({ call: 'cuInit', code: 100 });
  });

  it('that is the toolkit’s stub is called one', async () => {
    const library = new StubLibrary();
    library.script('cuInit', () => 34);
    const error = await failure(openLibcuda(linux, stubLoader(library)));
    expect(error.message).toMatch(/toolkit stub/);
  });
});
