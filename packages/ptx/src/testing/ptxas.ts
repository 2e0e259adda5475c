import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The architectures that every kernel is assembled for. */
export const assembledTargets = ['sm_80', 'sm_86', 'sm_89', 'sm_90a', 'sm_100', 'sm_120'] as const;

/** Whether NVIDIA's assembler is on the PATH; tests that need it are skipped elsewhere. */
export const hasPtxas = spawnSync('ptxas', ['--version']).status === 0;

/** What the assembler reported about a module. */
export interface AssemblyReport {
  readonly ok: boolean;
  /** Everything it printed. */
  readonly log: string;
  readonly registers: number;
  readonly spillBytes: number;
  readonly stackBytes: number;
  /** What costs much of the speed of wgmma, or takes no effect: no kernel may have any. */
  readonly notes: readonly string[];
}

/**
 * Notes of the assembler that something was not done as written: wgmma serialised for want of
 * registers or because of accesses in between (C7510 to C7514), waits and fences added (C7517,
 * C7519), setmaxnreg ignored (C7508).
 */
const costlyNote = /\(C75(?:08|1[0-9])\)[^\n]*/g;

/** Assembles a PTX module; `arch` such as `sm_90a`. */
export function assemble(ptx: string, arch: string): AssemblyReport {
  const dir = mkdtempSync(join(tmpdir(), 'ptxas-'));
  try {
    const file = join(dir, 'kernel.ptx');
    writeFileSync(file, ptx);
    const args = ['-v', `-arch=${arch}`, file, '-o', join(dir, 'kernel.cubin')];
    const { status, stdout, stderr } = spawnSync('ptxas', args, { encoding: 'utf8' });
    const log = stdout + stderr;
    const number = (pattern: RegExp): number => Number(pattern.exec(log)?.[1] ?? 0);
    return {
      ok: status === 0,
      log,
      registers: number(/Used (\d+) registers/),
      spillBytes: number(/(\d+) bytes spill stores/) + number(/(\d+) bytes spill loads/),
      stackBytes: number(/(\d+) bytes stack frame/),
      notes: log.match(costlyNote) ?? [],
    };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
