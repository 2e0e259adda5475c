import { describe, expect, it } from 'vitest';
import { Turns } from './turns.ts';

describe('Turns', () => {
  it('aborts the task before and waits until it has ended', async () => {
    const turns = new Turns();
    const log: string[] = [];
    const run = async (name: string, abort = new AbortController()) => {
      const end = await turns.take(abort);
      log.push(`${name} begins`);
      if (!abort.signal.aborted) {
        await new Promise((resolve) => abort.signal.addEventListener('abort', resolve));
      }
      await Promise.resolve();
      log.push(`${name} ends`);
      end();
    };
    const last = new AbortController();
    const all = [run('a'), run('b'), run('c', last)];
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(log).toEqual(['a begins', 'a ends', 'b begins', 'b ends', 'c begins']);
    last.abort();
    await Promise.all(all);
    expect(log.at(-1)).toBe('c ends');
  });
});
