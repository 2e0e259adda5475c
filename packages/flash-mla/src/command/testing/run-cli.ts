import { spawn } from 'node:child_process';
import { closeSync, cpSync, existsSync, mkdtempSync, openSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const packageRoot = fileURLToPath(new URL('../../../', import.meta.url));

/** The command as it is installed. */
export const binary = join(packageRoot, 'bin', 'flash-mla.js');

export interface CliResult {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** Another installation than this one. */
  readonly binary?: string;
  /** A file that stdout goes to instead of a pipe. */
  readonly stdout?: string;
  /** Called with the process once it runs. */
  readonly started?: (child: ReturnType<typeof spawn>) => void;
}

/** Runs the built command in a process of its own, its output in pipes. */
export function runCli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  if (!existsSync(join(packageRoot, 'dist', 'command', 'process.js'))) {
    throw new Error('the command is not built: run `npm run build`');
  }
  const { NO_COLOR: _no, FORCE_COLOR: _force, FLASH_MLA_DEBUG: _debug, ...inherited } = process.env;
  const file = options.stdout === undefined ? undefined : openSync(options.stdout, 'w');
  const child = spawn(process.execPath, [options.binary ?? binary, ...args], {
    cwd: options.cwd ?? packageRoot,
    env: { ...inherited, ...options.env },
    stdio: ['ignore', file ?? 'pipe', 'pipe'],
  });
  if (file !== undefined) closeSync(file);
  options.started?.(child);
  return new Promise((resolve, reject) => {
    let stdout = '';
    let stderr = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
}

/** An installation whose backends are gone: what loads one of them fails. */
export function installWithoutBackends(): { binary: string; remove(): void } {
  const folder = mkdtempSync(join(tmpdir(), 'flash-mla-bare-'));
  const dist = join(packageRoot, 'dist');
  const kinds = ['cpu', 'cuda', 'webgpu', 'sim'];
  const gone = [
    ...kinds.map((kind) => join(dist, 'runtime', kind)),
    ...kinds.map((kind) => join(dist, 'chunks', `runtime-${kind}-`)),
  ];
  for (const part of ['bin', 'dist', 'package.json']) {
    cpSync(join(packageRoot, part), join(folder, part), {
      recursive: true,
      // Files beside the devices' folders, such as the registry, stay.
      filter: (path) => !gone.some((beginning) => path.startsWith(beginning)),
    });
  }
  symlinkSync(
    join(packageRoot, '..', '..', 'node_modules'),
    join(folder, 'node_modules'),
    'junction',
  );
  return {
    binary: join(folder, 'bin', 'flash-mla.js'),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
