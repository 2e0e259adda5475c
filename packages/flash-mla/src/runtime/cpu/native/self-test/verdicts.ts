import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder } from '../../../platform/cache-folder.ts';

/** What a self-test found: undefined, or what is wrong. */
export type Verdict = string | undefined;

const folderName = 'native';
const passed = 'passed';

/**
 * The verdict on code that this machine has tested before, else that of `test`, which is kept. `facts` are
 * all that the verdict may depend on. Failures are not kept: they may have been the machine's bad day.
 */
export async function verdictOn(
  facts: readonly (string | Uint8Array)[],
  test: () => Promise<Verdict>,
  folder = cacheFolder({ platform: process.platform, variables: process.env }),
): Promise<Verdict> {
  const hash = createHash('sha256');
  for (const fact of facts) hash.update(fact).update('\0');
  const name = `${hash.digest('hex').slice(0, 32)}.txt`;
  const directory = folder === undefined ? undefined : join(folder, folderName);
  if (directory !== undefined && wasGood(join(directory, name))) return undefined;
  const verdict = await test();
  if (verdict === undefined && directory !== undefined) keep(directory, name);
  return verdict;
}

function wasGood(path: string): boolean {
  try {
    return readFileSync(path, 'utf8') === passed;
  } catch {
    return false;
  }
}

/** Whole or not at all; a folder that cannot be written to only costs the next process a test. */
function keep(directory: string, name: string): void {
  try {
    mkdirSync(directory, { recursive: true });
    const partial = join(directory, `${name}.${process.pid}`);
    writeFileSync(partial, passed);
    renameSync(partial, join(directory, name));
  } catch {}
}
