import { describe, expect, it } from 'vitest';
import { InvalidArgumentError } from '../errors.ts';
import { encodeSafetensors } from '../safetensors/index.ts';
import * as browser from './browser.ts';
import * as node from './node.ts';

const bytes = Uint8Array.from({ length: 300 }, (_, i) => i & 0xff);
const url = `data:application/octet-stream;base64,${Buffer.from(bytes).toString('base64')}`;

describe('the browser side of #platform', () => {
  it('opens a URL by fetching it and reads by range', async () => {
    const file = await browser.openFile(url);
    expect(file.size).toBe(300);
    expect(await file.read(10, 20)).toEqual(bytes.subarray(10, 20));
    expect(await file.read(290, 400)).toEqual(bytes.subarray(290));
    await file.close();
  });

  it('rejects what cannot be fetched', async () => {
    await expect(browser.openFile('data:')).rejects.toThrow();
  });

  it('has no file system to write to, and says what to do instead', async () => {
    const writing = browser.writeFileChunks('x.safetensors', (async function* () {})());
    await expect(writing).rejects.toThrow(InvalidArgumentError);
    await expect(writing).rejects.toThrow(/encodeSafetensors/);
  });
});

it('Node opens URLs that are no files by fetching them', async () => {
  const file = await encodeSafetensors({ t: { dtype: 'u8', shape: [2], data: new Uint8Array(2) } });
  const data = new URL(`data:;base64,${Buffer.from(file).toString('base64')}`);
  const opened = await node.openFile(data);
  expect(opened.size).toBe(file.length);
  await opened.close();
});

describe("the file of the processor's worker in a browser", () => {
  const origin = 'https://host.example';
  const installed = `${origin}/node_modules/flash-mla/dist/platform/browser.js`;

  it.each([
    ['is used where nobody moved anything', installed, '../backends/cpu/worker.js', true],
    ['is used where a query follows', `${installed}?v=1`, '../backends/cpu/worker.js', true],
    ['is used where it was moved, too', `${origin}/index.js`, '/assets/worker-1f.js', true],
    ['is used as webpack names it', 'file:///a/dist/platform/browser.js', `${origin}/1f.js`, true],
    ['was left behind', `${origin}/index.js`, '../backends/cpu/worker.js', false],
    ['is of another origin', 'https://cdn.example/dist/platform/browser.js', '../w.js', false],
    ['is a data: URL', `${origin}/index.js`, 'data:text/javascript,1', false],
  ])('%s', (_where, own, relative, isUsed) => {
    const url = new URL(relative, own);
    expect(browser.cpuWorkerFile(() => url, own, origin)).toBe(isUsed ? url.href : undefined);
  });

  it('is not looked for in a script that is no module', () => {
    expect(
      browser.cpuWorkerFile(() => new URL('../backends/cpu/worker.js', ''), '', origin),
    ).toBeUndefined();
  });
});
