import { statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** A hash of all built files in its place, which `scripts/bundle.mjs` puts there. */
const stamp = '@unbuilt:0123456789abcdef0123456789abcdef@';

/**
 * What decides the text of this package's own kernels, beside their names and configurations; undefined where the
 * package runs from its sources, which may change at any time.
 */
export function buildId(): string | undefined {
  return stamp.startsWith('@unbuilt') ? undefined : `${stamp} ${emitterStamp()}`;
}

/** Says in a clone when the emitter was compiled last: that may happen without the rest. Empty in a package. */
function emitterStamp(): string {
  try {
    const folder = dirname(fileURLToPath(import.meta.resolve('@flash-mla/ptx')));
    const facts = statSync(join(folder, '.tsbuildinfo'), { throwIfNoEntry: false });
    return facts === undefined ? '' : String(facts.mtimeMs);
  } catch {
    // A program that has been bundled has the emitter inside, as it was.
    return '';
  }
}
