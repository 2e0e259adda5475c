import { describe, expect, it } from 'vitest';
import { compileKernels } from './modules.ts';

describe('kernels that cannot be used', () => {
  it('say that their module is not there', async () => {
    const lost = new TypeError('Failed to fetch dynamically imported module');
    const compiling = compileKernels(false, true, () => Promise.reject(lost));
    await expect(compiling).rejects.toMatchObject({
      name: 'BackendUnavailableError',
      reason: 'its kernels cannot be loaded',
      looked: [lost.message],
      remedy: expect.stringMatching(/^Reinstall flash-mla/),
      cause: lost,
    });
  });

  it('say that WebAssembly did not take them', async () => {
    const module = { base64: btoa('<!doctype html>'), memoryFlags: 0 };
    const compiling = compileKernels(false, true, () => Promise.resolve(module));
    await expect(compiling).rejects.toMatchObject({
      name: 'BackendUnavailableError',
      reason: 'its kernels do not compile',
      looked: [expect.stringContaining('magic word')],
      remedy: expect.stringContaining('WebAssembly'),
    });
  });
});
