import { describe, expect, it } from 'vitest';
import * as browser from './browser.ts';

describe("the file of the processor's worker in a browser", () => {
  const origin = 'https://host.example';
  const installed = `${origin}/node_modules/flash-mla/dist/runtime/platform/browser.js`;

  it.each([
    ['is used where nobody moved anything', installed, '../cpu/worker.js', true],
    ['is used where a query follows', `${installed}?v=1`, '../cpu/worker.js', true],
    ['is used where it was moved, too', `${origin}/index.js`, '/assets/worker-1f.js', true],
    [
      'is used as webpack names it',
      'file:///a/dist/runtime/platform/browser.js',
      `${origin}/1f.js`,
      true,
    ],
    ['was left behind', `${origin}/index.js`, '../cpu/worker.js', false],
    [
      'is of another origin',
      'https://cdn.example/dist/runtime/platform/browser.js',
      '../w.js',
      false,
    ],
    ['is a data: URL', `${origin}/index.js`, 'data:text/javascript,1', false],
  ])('%s', (_where, own, relative, isUsed) => {
    const url = new URL(relative, own);
    expect(browser.cpuWorkerFile(() => url, own, origin)).toBe(isUsed ? url.href : undefined);
  });

  it('is not looked for in a script that is no module', () => {
    expect(
      browser.cpuWorkerFile(() => new URL('../cpu/worker.js', ''), '', origin),
    ).toBeUndefined();
  });
});
