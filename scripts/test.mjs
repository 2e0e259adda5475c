// `npm test`: installs and builds what is missing, then lints, type-checks the tests and runs them.
// The last line is always `N passed, N failed[, N skipped]`; the exit code is non-zero on any failure.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureBuilt, ensureInstalled, root } from './workspace.mjs';

ensureInstalled();
ensureBuilt();

const filters = process.argv.slice(2);
const scratch = mkdtempSync(join(tmpdir(), 'flash-mla-test-'));
const report = join(scratch, 'report.json');
const totals = { passed: 0, failed: 0, skipped: 0 };

function check(name, path, args) {
  const started = performance.now();
  const { status } = spawnSync(process.execPath, [join(root, 'node_modules', path), ...args], {
    cwd: root,
    stdio: 'inherit',
  });
  totals[status === 0 ? 'passed' : 'failed']++;
  console.log(
    `${name}: ${status === 0 ? 'ok' : 'FAILED'} (${((performance.now() - started) / 1e3).toFixed(1)} s)`,
  );
}

if (filters.length === 0) {
  check('lint', '@biomejs/biome/bin/biome', ['check', '--error-on-warnings', '.']);
  check('typecheck', 'typescript/bin/tsc', ['-p', 'tsconfig.test.json']);
  check('typecheck of the playground', 'typescript/bin/tsc', ['-p', 'apps/playground']);
}
const vitest = spawnSync(
  process.execPath,
  [
    join(root, 'node_modules', 'vitest', 'vitest.mjs'),
    'run',
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${report}`,
    ...filters,
  ],
  { cwd: root, stdio: 'inherit' },
);
try {
  const result = JSON.parse(readFileSync(report, 'utf8'));
  totals.passed += result.numPassedTests;
  totals.failed += result.numFailedTests;
  totals.skipped += result.numPendingTests + result.numTodoTests;
  // A file that fails to load reports no test of its own.
  totals.failed += result.testResults.filter(
    (file) =>
      file.status === 'failed' && file.assertionResults.every((test) => test.status !== 'failed'),
  ).length;
} catch (error) {
  console.error(`The test report could not be read: ${error.message}`);
  totals.failed++;
}
if (vitest.status !== 0 && totals.failed === 0) totals.failed++;
rmSync(scratch, { recursive: true, force: true });
const skipped = totals.skipped > 0 ? `, ${totals.skipped} skipped` : '';
console.log(`${totals.passed} passed, ${totals.failed} failed${skipped}`);
process.exitCode = totals.failed === 0 ? 0 : 1;
