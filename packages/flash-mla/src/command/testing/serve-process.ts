import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { afterAll, expect } from 'vitest';

const bin = fileURLToPath(new URL('../../../bin/flash-mla.js', import.meta.url));
const children: ChildProcess[] = [];
afterAll(() => {
  for (const child of children) child.kill('SIGKILL');
});

/** A `flash-mla serve` in a process of its own. */
export interface ServeProcess {
  readonly child: ChildProcess;
  readonly url: string;
  /** The exit code, or the signal that ended it. */
  readonly exited: Promise<number | string>;
  output(): string;
}

/** Starts the command on a free port, and returns at once. */
export function spawnServe(
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
  stdio: StdioOptions = ['ignore', 'pipe', 'pipe'],
): Omit<ServeProcess, 'url'> {
  const child = spawn(process.execPath, [bin, 'serve', ...args], {
    env: { ...process.env, ...env },
    stdio,
  });
  children.push(child);
  let output = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    output += `stdout: ${text}`;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  const exited = once(child, 'exit').then(([code, signal]) => code ?? signal);
  return { child, exited, output: () => output };
}

/** Starts the command; resolves when it says that it is ready, or has ended. */
export async function startServe(
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<ServeProcess> {
  const started = spawnServe(['--port', '0', ...args], env);
  const { child, output } = started;
  await expect
    .poll(() => output().includes('is ready') || child.exitCode !== null, { timeout: 40_000 })
    .toBe(true);
  return { ...started, url: /http:\/\/[\d.:]+/.exec(output())?.[0] ?? '' };
}

/** A port that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  return typeof address === 'object' && address !== null ? address.port : 0;
}
