import { expect, it } from 'vitest';
import { shortageRemedy } from './shortages.ts';

const failure = (message: string, code?: string) => Object.assign(new Error(message), { code });

it.each([
  [failure('EMFILE: too many open files, open \u2018cpu.wasm\u2019', 'EMFILE'), /ulimit -n/],
  [failure('Cannot read package config package.json: too many open files.'), /ulimit -n/],
  [failure('Worker initialization failure: EMFILE', 'ERR_WORKER_INIT_FAILED'), /ulimit -n/],
  [
    failure('Worker terminated due to reaching memory limit', 'ERR_WORKER_OUT_OF_MEMORY'),
    /Dispose/,
  ],
  [failure('Worker initialization failure: EAGAIN', 'ERR_WORKER_INIT_FAILED'), /ulimit -u/],
  [new RangeError('WebAssembly.Memory(): could not allocate memory: out of memory'), /Dispose/],
])('says what to do about %s', (cause, remedy) => {
  expect(shortageRemedy(cause)).toMatch(remedy);
});

it('knows no remedy for what is no shortage', () => {
  const missing = failure('Cannot find module worker.js', 'ERR_MODULE_NOT_FOUND');
  for (const cause of [missing, 'text', undefined, null]) {
    expect(shortageRemedy(cause)).toBeUndefined();
  }
});
