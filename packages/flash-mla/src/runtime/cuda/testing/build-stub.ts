import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const source = fileURLToPath(new URL('stub-libcuda.c', import.meta.url));

/** Whether there is a C compiler for the stub driver. */
export const hasCompiler =
  process.platform === 'linux' && spawnSync('cc', ['--version']).status === 0;

/** Builds the stub driver into a directory and gives its path. Throws the compiler's errors. */
export function buildStub(directory: string, ...flags: string[]): string {
  const output = join(directory, 'libcuda-stub.so');
  const args = ['-Wall', '-Werror', '-shared', '-fPIC', ...flags, '-o', output, source];
  const { status, stderr } = spawnSync('cc', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`cc: ${stderr}`);
  return output;
}

/** Where cuda.h is, if it is installed. */
export const cudaInclude = ['/usr/local/cuda/include', '/usr/include'].find((directory) =>
  existsSync(join(directory, 'cuda.h')),
);
