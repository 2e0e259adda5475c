import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism, cpus, release, totalmem, type } from 'node:os';
import { join } from 'node:path';

/** The machine a figure was measured on, for `doctor` and for results kept in files. */
export interface MachineFacts {
  readonly node: string;
  readonly v8: string;
  readonly system: string;
  readonly architecture: string;
  readonly cpu: string;
  /** Threads that can run side by side. */
  readonly cores: number;
  readonly memoryBytes: number;
  /** Last-level cache, where the system tells (Linux). */
  readonly cacheBytes: number | undefined;
}

export function machineFacts(): MachineFacts {
  return {
    node: process.versions.node,
    v8: process.versions.v8,
    system: `${type()} ${release()}`,
    architecture: process.arch,
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    cacheBytes: lastLevelCache(),
  };
}

/** Bytes of the largest cache of the first core, as Linux lists them in `folder`. */
export function lastLevelCache(folder = '/sys/devices/system/cpu/cpu0/cache'): number | undefined {
  const sizes: number[] = [];
  try {
    for (const entry of readdirSync(folder)) {
      if (!entry.startsWith('index')) continue;
      const text = readFileSync(join(folder, entry, 'size'), 'utf8').trim();
      const [, digits, unit = ''] = /^(\d+)([KMG]?)$/.exec(text) ?? [];
      const scale = { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 }[unit] ?? 1;
      if (digits !== undefined) sizes.push(Number(digits) * scale);
    }
  } catch {
    // Not Linux, or a container that hides it.
  }
  return sizes.length > 0 ? Math.max(...sizes) : undefined;
}

/** The version of this package. */
export function packageVersion(): string {
  return packageFacts().version;
}

/** The versions of Node that this package is made for, such as `>=20.20.0`. */
export function nodeEngines(): string {
  return packageFacts().engines.node;
}

function packageFacts(): { version: string; engines: { node: string } } {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return JSON.parse(text) as { version: string; engines: { node: string } };
}
