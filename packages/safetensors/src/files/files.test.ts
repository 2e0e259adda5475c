import { InvalidArgumentError } from '@flash-mla/core';
import { describe, expect, it } from 'vitest';
import { encodeSafetensors } from '../index.ts';
import * as browser from './browser.ts';
import * as node from './node.ts';

const bytes = Uint8Array.from({ length: 300 }, (_, i) => i & 0xff);
const url = `data:application/octet-stream;base64,${Buffer.from(bytes).toString('base64')}`;

describe('the browser side of #files', () => {
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
