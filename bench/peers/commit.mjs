import { execFileSync } from 'node:child_process';
import { root } from '../../scripts/workspace.mjs';

/** The commit that is measured. */
export function commit() {
  try {
    const git = (...args) =>
      execFileSync('git', args, { cwd: root, stdio: ['ignore', 'pipe', 'ignore'] });
    const hash = git('rev-parse', '--short', 'HEAD').toString().trim();
    const changed = git('status', '--porcelain', '--', 'packages').toString().trim() !== '';
    return changed ? `${hash} with local changes` : hash;
  } catch {
    return 'unknown';
  }
}
