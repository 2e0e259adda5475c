import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { freePort, spawnServe, startServe } from './testing/serve-process.ts';

// Each of these starts a process and loads a model; `SERVE_FAULTS=all` does it in all the ways that there are.
const all = process.env.SERVE_FAULTS === 'all';

const folder = mkdtempSync(join(tmpdir(), 'flash-mla-faults-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Loaded into every thread: does to the engine's what the file says, as soon as there is one. */
const preload = join(folder, 'fault.mjs');
writeFileSync(
  preload,
  `import { existsSync, readFileSync } from 'node:fs';
import { workerData } from 'node:worker_threads';
if (workerData?.vocabulary !== undefined)
  setInterval(() => {
    const file = process.env.FLASH_MLA_TEST_FAULT;
    if (!existsSync(file)) return;
    const fault = readFileSync(file, 'utf8');
    if (fault === 'exit') process.exit(3);
    if (fault === 'throw') throw new Error('a fault of the test');
    if (fault === 'reject') Promise.reject(new Error('a fault of the test'));
    if (fault === 'hang') for (;;);
    if (fault === 'memory') for (const kept = []; ; ) kept.push(new Array(1e5).fill(kept));
  }, 2).unref();
`,
);

/** A server whose engine can be made to fail. */
async function startWithFault(name: string, args: readonly string[] = []) {
  const file = join(folder, name);
  const served = await startServe(args, {
    // The heap is small, so that the fault that fills it does not take long.
    NODE_OPTIONS: `${process.env.NODE_OPTIONS ?? ''} --import=${preload} --max-old-space-size=300`,
    FLASH_MLA_TEST_FAULT: file,
  });
  return { ...served, fail: () => writeFileSync(file, name) };
}

const ask = (url: string, more: object = {}) =>
  fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      model: 'tales',
      max_tokens: 3000,
      ignore_eos: true,
      messages: [{ role: 'user', content: 'Tell me a tale.' }],
      ...more,
    }),
  });

describe('an engine that dies in the middle of streams', () => {
  it.each(all ? ['exit', 'throw', 'reject', 'memory'] : ['exit'])(
    'by %s ends them with an error, and the process',
    async (fault) => {
      const { child, exited, fail, output, url } = await startWithFault(fault, [
        '--max-running',
        '2',
      ]);
      const [first, second] = await Promise.all([
        ask(url, { stream: true }),
        ask(url, { stream: true }),
      ]);
      // One waits in the queue.
      const whole = ask(url).then(async (response) => ({ response, text: await response.text() }));
      const texts = [first.text(), second.text()];
      fail();
      for (const text of await Promise.all(texts)) {
        expect(text).toMatch(/data: \{"error":\{.*\}\}\n\ndata: \[DONE\]\n\n$/);
        expect(text).not.toContain('a fault of the test');
      }
      const { response, text } = await whole;
      expect(response.status).toBeGreaterThanOrEqual(500);
      expect(JSON.parse(text).error.message).toEqual(expect.any(String));
      expect(await exited).toBe(1);
      expect(output()).toContain('the engine has stopped');
      expect(child.exitCode).toBe(1);
    },
  );

  it.runIf(all)(
    'or hangs: probes say so, and SIGTERM still ends the process',
    async () => {
      const { child, exited, fail, url } = await startWithFault('hang', [
        '--shutdown-timeout',
        '0.1',
      ]);
      const stream = await ask(url, { stream: true });
      const text = stream.text();
      fail();
      await expect
        .poll(async () => (await fetch(`${url}/health/ready`)).status, { timeout: 10_000 })
        .toBe(503);
      // A step may be as long as this: the process lives.
      expect((await fetch(`${url}/health/live`)).status).toBe(200);
      child.kill('SIGTERM');
      expect(await text).toMatch(/data: \{"error":\{.*\}\}\n\ndata: \[DONE\]\n\n$/);
      expect(await exited).toBe(0);
    },
    40_000,
  );
});

describe('SIGTERM', () => {
  it('while a model is loaded ends the process at once', async () => {
    const { child, exited } = spawnServe(['--port', '0']);
    await new Promise((resolve) => setTimeout(resolve, 150));
    child.kill('SIGTERM');
    expect(await exited).toBe('SIGTERM');
  });

  it.runIf(all)(
    'while requests run and wait gives them their time, and ends them then',
    async () => {
      const args = ['--max-running', '1', '--shutdown-timeout', '0.5'];
      const { child, exited, url } = await startServe(args);
      const running = await ask(url, { stream: true });
      const waiting = await ask(url, { stream: true });
      child.kill('SIGTERM');
      for (const stream of [running, waiting])
        expect(await stream.text()).toMatch(/"code":"cancelled".*\n\ndata: \[DONE\]\n\n$/);
      expect(await exited).toBe(0);
    },
  );

  it.runIf(all)('while nothing runs ends the process, whoever keeps a connection', async () => {
    const { child, exited, url } = await startServe([]);
    const sockets = Array.from({ length: 20 }, () =>
      connect(Number(new URL(url).port), '127.0.0.1'),
    );
    for (const socket of sockets) socket.on('error', () => {});
    sockets[0]?.write('POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-');
    await fetch(`${url}/health/ready`);
    child.kill('SIGTERM');
    expect(await exited).toBe(0);
  });
});

describe.skipIf(process.platform !== 'linux')('a full disk under the log', () => {
  it('costs lines and nothing else; a second SIGTERM ends what runs', async () => {
    const port = await freePort();
    const full = openSync('/dev/full', 'w');
    const args = ['--port', String(port), '--log-level', 'debug', '--shutdown-timeout', '100'];
    const { child, exited } = spawnServe(args, {}, ['ignore', 'ignore', full]);
    closeSync(full);
    const url = `http://127.0.0.1:${port}`;
    const ready = async () => {
      const response = await fetch(`${url}/health/ready`).catch(() => undefined);
      return response?.status ?? child.exitCode;
    };
    await expect.poll(ready, { timeout: 40_000 }).toBe(200);
    const response = await ask(url, { max_tokens: 3, stream: true });
    expect(await response.text()).toContain('[DONE]');
    const stream = await ask(url, { stream: true });
    child.kill('SIGTERM');
    await expect.poll(ready).toBe(503);
    expect((await ask(url)).status).toBe(503);
    child.kill('SIGTERM');
    expect(await stream.text()).toMatch(/"code":"cancelled".*\n\ndata: \[DONE\]\n\n$/);
    expect(await exited).toBe(0);
  });
});
