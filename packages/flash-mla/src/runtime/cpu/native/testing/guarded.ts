/** Runs kernels in a process of their own, each operand between pages that may not be touched. */

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Kernel } from '@flash-mla/machine-code';
import { findKoffi } from '../find-koffi.ts';
import type { NativeProblem } from '../self-test/problem.ts';
import { emulatedTileBytes } from './emulated-tiles.ts';
import { abi } from './machine.ts';

const script = fileURLToPath(new URL('guarded-child.mjs', import.meta.url));

/** Where that process has the tiles of kernels that want them in memory. */
export const guardedTiles = 0x1000_0000_0000n;

/** `end`: operands end where memory ends; `start`: they begin where it begins. */
export type GuardedSide = 'end' | 'start';

export interface GuardedRun {
  /** The memory after each problem, as far as the process came. */
  readonly results: readonly Uint8Array[];
  /** The signal that ended it, if one did. */
  readonly signal: NodeJS.Signals | null;
  readonly errors: string;
}

/** Runs problems of a kernel one after the other. */
export function runGuarded(
  kernel: Pick<Kernel, 'assemble'>,
  problems: readonly NativeProblem[],
  side: GuardedSide,
): GuardedRun {
  const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');
  const trials = problems.map(({ memory, operands }) => ({
    ...{ kernel: 0, memory: base64(memory), operands, side },
  }));
  const input = JSON.stringify({
    koffi: findKoffi(),
    kernels: [base64(kernel.assemble(abi).bytes)],
    trials,
    tiles: { at: Number(guardedTiles), bytes: emulatedTileBytes },
  });
  const { stdout, stderr, signal, error } = spawnSync(process.execPath, [script], {
    input,
    maxBuffer: 2 ** 30,
    timeout: 60_000,
  });
  if (error) throw error;
  const results: Uint8Array[] = [];
  let at = 0;
  for (const { memory } of problems) {
    if (at + memory.length > stdout.length) break;
    results.push(Uint8Array.from(stdout.subarray(at, at + memory.length)));
    at += memory.length;
  }
  return { results, signal, errors: stderr.toString() };
}
