import { describe, expect, it } from 'vitest';
import { runCli } from './testing/run-cli.ts';

describe.skipIf(process.platform === 'win32')('Ctrl-C in selftest', () => {
  const long = ['selftest', '--suite', 'full', '--device', 'cpu'];
  /** Interrupts after the first cases, which are small. A busy machine may need longer to begin to listen. */
  const interrupted = async (args: readonly string[]) => {
    for (let delay = 2500; ; delay *= 2) {
      const result = await runCli([...long, ...args], {
        started: (child) => setTimeout(() => child.kill('SIGINT'), delay),
      });
      // Before the first case there is nothing to report.
      const hadBegun = result.stdout !== '';
      if (hadBegun || delay > 10_000) return result;
    }
  };

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
