import { describe, expect, it } from 'vitest';
import { runCli } from './testing/run-cli.ts';

describe.skipIf(process.platform === 'win32')('Ctrl-C in selftest', () => {
  const long = ['selftest', '--suite', 'full', '--device', 'cpu'];
  /** Long enough for the first cases, which are small. */
  const interrupted = (args: readonly string[]) =>
    runCli([...long, ...args], {
      started: (child) => setTimeout(() => child.kill('SIGINT'), 2500),
    });

  it('prints the results so far and exits with 130', async () => {
    const { code, stdout, stderr } = await interrupted([]);
    expect({ code, stderr }).toEqual({ code: 130, stderr: '' });
    expect(stdout).toMatch(/^operation +passed +failed/m);
    expect(stdout).toMatch(/^\d+ passed, 0 failed in [\d.]+ s; interrupted, \d{4,} not run\n$/m);
  });

  it('does so as JSON', async () => {
    const { code, stdout, stderr } = await interrupted(['--json']);
    expect({ code, stderr }).toEqual({ code: 130, stderr: '' });
    const { interrupted: wasStopped, notRun, totals, cases } = JSON.parse(stdout);
    expect(wasStopped).toBe(true);
    expect(cases.length).toBe(totals.passed + totals.failed + totals.excluded);
    expect(notRun).toBeGreaterThan(1000);
  });
});
