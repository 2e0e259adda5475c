import { spawn } from 'node:child_process';
import type { Trial } from './trial.ts';

/** Starting a process takes a second on a busy machine; what takes longer than this hangs. */
const patience = 30_000;

/** The memory after a trial in a process of its own. @throws Error with what became of that process. */
export async function runTrial(trial: Trial): Promise<Uint8Array> {
  const { script } = await import('../../../../../wasm/native-self-test.js');
  const child = spawn(process.execPath, ['-e', script], {
    stdio: ['pipe', 'pipe', 'pipe'],
    timeout: patience,
    killSignal: 'SIGKILL',
    windowsHide: true,
    // An application made with Electron is no Node unless it is told to be.
    env: { ...process.env, NODE_OPTIONS: '', ELECTRON_RUN_AS_NODE: '1' },
  });
  const [output, errors]: [Buffer[], Buffer[]] = [[], []];
  child.stdout.on('data', (part: Buffer) => output.push(part));
  child.stderr.on('data', (part: Buffer) => errors.push(part));
  // A process that ends early does not read its input: how it ended says more.
  child.stdin.on('error', () => {});
  child.stdin.end(JSON.stringify(trial));
  const [code, signal] = await new Promise<[number | null, string | null]>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (...end) => resolve(end));
  });
  if (code !== 0) {
    const said = Buffer.concat(errors).toString().trim().split('\n').at(-1) ?? '';
    throw new Error(`its process ended by ${signal ?? `code ${code}`}${said && `: ${said}`}`);
  }
  // A Buffer may be a piece of a larger one.
  return Uint8Array.from(Buffer.from(Buffer.concat(output).toString(), 'base64'));
}
