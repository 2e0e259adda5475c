import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { startServe } from './testing/serve-process.ts';

const bin = fileURLToPath(new URL('../../bin/flash-mla.js', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'flash-mla-serve-'));
const children: ChildProcess[] = [];
afterAll(() => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

const ask = (url: string, more: object = {}, headers: Record<string, string> = {}) =>
  fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({
      model: 'tales',
      temperature: 0,
      max_tokens: 60,
      messages: [{ role: 'user', content: 'What is 12 + 30?' }],
      ...more,
    }),
  });

/** Runs a command that ends by itself. */
async function runToEnd(args: string[]) {
  const child = spawn(process.execPath, [bin, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  const [status] = await once(child, 'exit');
  return { output, status };
}

describe('flash-mla serve', () => {
  it('answers, says one line, and drains at SIGTERM', async () => {
    const { child, exited, output, url } = await startServe(['--alias', 'gpt-x']);
    const { choices } = await (await ask(url, { model: 'gpt-x' })).json();
    expect(choices[0].message.content).toContain('42');
    expect(output().trim().split('\n')).toHaveLength(1);
    const running = await ask(url, { stream: true, max_tokens: 40 });
    child.kill('SIGTERM');
    expect(await running.text()).toContain('data: [DONE]');
    expect(await exited).toBe(0);
  });

  it('takes keys from a file and from the environment', async () => {
    const file = join(folder, 'keys');
    writeFileSync(file, 'first\nsecond\n');
    const { child, exited, url } = await startServe(['--api-key-file', file, '--no-chat-page'], {
      FLASH_MLA_API_KEY: 'third',
    });
    expect((await ask(url)).status).toBe(401);
    for (const key of ['first', 'second', 'third'])
      expect((await ask(url, { max_tokens: 1 }, { authorization: `Bearer ${key}` })).status).toBe(
        200,
      );
    expect((await fetch(url)).status).toBe(404);
    child.kill('SIGINT');
    expect(await exited).toBe(130);
  });

  it.each([
    ['another address without a key', ['--host', '0.0.0.0'], /API key/],
    ['no model', ['/nowhere'], /nowhere/],
    ['an option that is none', ['--no-such'], /--help/],
    ['a port that is none', ['--port', '70000'], /65535/],
  ])('refuses %s', async (_name, args, words) => {
    const { exited, output } = await startServe(args);
    expect(await exited).toBe(2);
    expect(output()).toMatch(words);
    expect(output()).not.toContain('bug of flash-mla');
  });
});

describe('flash-mla bench serve', () => {
  it('measures the demo model that it starts', async () => {
    const { output, status } = await runToEnd([
      'bench',
      'serve',
      '--requests',
      '3',
      '--prompt-tokens',
      '20',
      '--output-tokens',
      '4',
      '--json',
    ]);
    expect(status, output).toBe(0);
    expect(JSON.parse(output)).toMatchObject({
      load: 'fixed',
      completed: 3,
      failed: 0,
      outputTokens: 12,
    });
  });

  it('says where there is no server', async () => {
    const { output, status } = await runToEnd([
      'bench-serve',
      '--url',
      'http://127.0.0.1:9',
      '--json',
    ]);
    expect(status).toBe(1);
    expect(output).toContain('no server runs there');
  });
});
