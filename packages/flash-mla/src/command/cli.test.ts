import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bundledCaseUrl, openSafetensors } from '../ops/cases.ts';
import { commands } from './commands.ts';
import { installWithoutBackends, runCli } from './testing/run-cli.ts';

const caseFile = fileURLToPath(bundledCaseUrl('sparse_v32_invalid'));
const tinyBench = [
  'bench',
  'dense-decode',
  '--device',
  'cpu',
  '--b',
  '1',
  '--h-q',
  '2',
  '--s-k',
  '64',
];

/** What is left of stderr without the warning that the machine, busy with other tests, may bring. */
function quiet(stderr: string): string {
  return stderr.replace(/^warning: the device's own ceilings moved .*\n/gm, '');
}

describe('without any backend', () => {
  let bare: ReturnType<typeof installWithoutBackends>;
  beforeAll(() => {
    bare = installWithoutBackends();
  });
  afterAll(() => bare.remove());
  const run = (...args: string[]) => runCli(args, { binary: bare.binary });

  it('prints the help of the program', async () => {
    const { code, stdout, stderr } = await run('--help');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    for (const [name, { summary }] of Object.entries(commands)) {
      expect(stdout).toContain(name);
      expect(stdout).toContain(summary);
    }
  });

  it('prints the help when asked for nothing, and the version', async () => {
    expect((await run()).stdout).toContain('Usage: flash-mla');
    expect((await run('help', 'help')).stdout).toContain('Usage: flash-mla');
    expect((await run('--version')).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  it.each(Object.keys(commands))('prints the help of %s in both ways', async (name) => {
    const long = await run(name, '--help');
    expect(long.code).toBe(0);
    expect(long.stdout).toContain(`Usage: flash-mla ${name}`);
    expect((await run('help', name)).stdout).toBe(long.stdout);
  });

  it.each([
    [['frobnicate'], /unknown command 'frobnicate'.*flash-mla --help/],
    [['benc'], /unknown command 'benc'.*bench/],
    [['help', 'nope'], /unknown command 'nope'.*flash-mla --help/],
    [['help', 'benc'], /unknown command 'benc'.*bench/],
    [['--frobnicate'], /unknown option '--frobnicate'/],
    [['run'], /missing required argument 'file'.*flash-mla run --help/],
    [['demo', 'surplus'], /too many arguments/],
    [['selftest', '--suite', 'some'], /Allowed choices are quick, full/],
    [['selftest', '--filter', 'no such case'], /--filter no such case: no case/],
    [['selftest', '--seed', '3'], /--seed: belongs to --fuzz/],
    [['selftest', '--fuzz', '2', '--seed', 'x'], /Expected S, S:index or S:index:name=value/],
    [['selftest', '--fuzz', '2', '--seed', '1:2:b=1'], /names one problem, so --fuzz 1/],
    [['selftest', '--fuzz', '2', '--shard', '1/2'], /--shard: belongs to the suite/],
    [['selftest', '--fuzz', '1', '--device', 'cpu', '--filter', 'no such'], /no drawn problem/],
    [['bench', 'no-such-op'], /no operation 'no-such-op'.*dense-decode/],
    [['bench', 'dense-decode', '--b', '0'], /--b.*'0'.*whole number from 1/],
    [['bench', 'dense-decode', '--b', '1.5'], /whole number/],
    [['bench', 'dense-decode', '--threads', '65'], /from 1 to 64/],
    [['bench', 'dense-decode', '--topk', '4'], /--topk has no meaning for dense-decode/],
    [['bench', 'dense-decode', '--h-q', '10', '--h-kv', '3'], /3 does not divide 10/],
    [['bench', 'sparse-decode', '--kv-layout', 'v33'], /Allowed choices are v32, model1, bf16/],
    [['bench', 'sparse-decode', '--kv-layout', 'v32', '--d-qk', '512'], /576 columns/],
    [['bench', 'sparse-decode', '--extra-len'], /--extra-len needs --extra-topk/],
    [['bench', 'suite', '--b', '2'], /--b has no meaning for suite/],
    [['bench', 'suite', '--op', 'nothing'], /--op nothing/],
    [['bench', 'dense-decode', '--op', 'metadata'], /--op goes with suite/],
    [['bench', 'dense-decode', '--cold', '--warm'], /not both/],
  ])('refuses %j in one paragraph with exit code 2', async (args, message) => {
    const { code, stdout, stderr } = await run(...args);
    expect(stderr).toMatch(message);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  });

  it('says so as JSON where JSON was asked for', async () => {
    const { code, stdout, stderr } = await run('demo', '--json', '--threads', 'many');
    expect({ code, stderr }).toEqual({ code: 2, stderr: '' });
    expect(JSON.parse(stdout).error).toMatchObject({ name: 'UsageError' });
  });

  it('names a device that it does not know', async () => {
    const { code, stderr } = await run('demo', '--device', 'tpu');
    expect(stderr).toMatch(/device: expected one of auto.*'tpu'/);
    expect(code).toBe(2);
  });

  it('says what a missing backend needs, with exit code 1 and no stack', async () => {
    const { code, stdout, stderr } = await run('demo', '--device', 'cpu');
    expect(stderr).toMatch(/backend 'cpu' is unavailable.*Reinstall/);
    expect(stderr).not.toMatch(/^\s+at /m);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  });

  it('shows the stack where FLASH_MLA_DEBUG is set', async () => {
    const env = { FLASH_MLA_DEBUG: '1' };
    const { stderr } = await runCli(['demo', '--device', 'cpu'], { binary: bare.binary, env });
    expect(stderr).toMatch(/^\s+at /m);
  });

  it('lets doctor report', async () => {
    const { code, stdout, stderr } = await run('doctor');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/✗ cpu {2}its module does not load/);
    expect(stdout).toMatch(/remedy: Reinstall flash-mla/);
    const { devices } = JSON.parse((await run('doctor', '--json')).stdout);
    const cpu = devices.find(({ id }: { id: string }) => id === 'cpu');
    expect(cpu).toMatchObject({ available: false, remedy: 'Reinstall flash-mla.' });
  });
});

describe('with this installation', () => {
  it('doctor finds the processor', async () => {
    const { code, stdout } = await runCli(['doctor', '--json']);
    expect(code).toBe(0);
    const { devices, machine, maca } = JSON.parse(stdout);
    const cpu = devices.find(({ id }: { id: string }) => id === 'cpu');
    expect(cpu).toMatchObject({ available: true, backend: 'cpu' });
    expect(machine.node).toBe(process.versions.node);
    expect(maca.looked.length).toBeGreaterThan(0);
  });

  it('run prints only JSON, and writes the answers', async () => {
    const out = mkdtempSync(join(tmpdir(), 'flash-mla-out-'));
    const args = ['run', caseFile, '--device', 'cpu', '--json', '--out', out];
    const { code, stdout, stderr } = await runCli(args);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const { pass, cases } = JSON.parse(stdout);
    expect(pass).toBe(true);
    expect(cases[0]).toMatchObject({ name: 'sparse_v32_invalid', pass: true });
    const file = await openSafetensors(join(out, 'sparse_v32_invalid.safetensors'));
    expect([...file.entries.keys()].sort()).toEqual(['lse', 'out']);
    await file.close();
    rmSync(out, { recursive: true });
  });

  it('run goes on after a file that is none, and exits 2', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'flash-mla-bad-'));
    const bad = join(folder, 'bad.safetensors');
    writeFileSync(bad, 'not a case file');
    const { code, stdout, stderr } = await runCli(['run', bad, caseFile, '--device', 'cpu']);
    expect(code).toBe(2);
    expect(stderr).toContain('bad.safetensors');
    expect(stdout).toMatch(/sparse_v32_invalid .* pass/);
    const json = await runCli(['run', bad, '--device', 'cpu', '--json']);
    expect(JSON.parse(json.stdout)).toMatchObject({
      pass: false,
      errors: [{ file: bad, error: { name: 'FileFormatError' } }],
    });
    rmSync(folder, { recursive: true });
  });

  it('colours a terminal only: none in a pipe, some where forced, none where refused', async () => {
    const sequence = '\u001b[';
    const colours = async (env: NodeJS.ProcessEnv) =>
      (await runCli(['doctor'], { env })).stdout.includes(sequence);
    expect(await colours({})).toBe(false);
    expect(await colours({ FORCE_COLOR: '1' })).toBe(true);
    expect(await colours({ FORCE_COLOR: '1', NO_COLOR: '1' })).toBe(false);
  });

  it('draws no progress bar in a pipe', async () => {
    const { stdout, stderr } = await runCli(['run', caseFile, '--device', 'cpu']);
    expect(stderr).toBe('');
    expect(stdout).not.toContain('█');
  });

  it('ends quietly when its reader leaves', async () => {
    const { code, stderr } = await runCli(['run', caseFile, '--device', 'cpu'], {
      started: (child) => child.stdout?.destroy(),
    });
    expect({ code, stderr }).toEqual({ code: 141, stderr: '' });
  });

  it.skipIf(process.platform === 'win32')('ends at once, with 130, on Ctrl-C', async () => {
    const long = ['bench', 'dense-decode', '--device', 'cpu', '--b', '16', '--s-k', '8192'];
    const begin = performance.now();
    const { code, stdout, stderr } = await runCli(long, {
      started: (child) => setTimeout(() => child.kill('SIGINT'), 1500),
    });
    expect({ code, stdout, stderr }).toEqual({ code: 130, stdout: '', stderr: '' });
    expect(performance.now() - begin).toBeLessThan(10_000);
  });

  it('bench measures, keeps, compares with what it kept, and draws', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'flash-mla-bench-'));
    const [kept, plot] = [join(folder, 'kept.json'), join(folder, 'roof.svg')];
    const first = await runCli([...tinyBench, '--json', kept, '--plot', plot]);
    expect({ code: first.code, stderr: quiet(first.stderr) }).toEqual({ code: 0, stderr: '' });
    expect(first.stdout).toMatch(/dense_decode_bf16 +b=1 h_q=2 s_k=64/);
    expect(first.stdout).toMatch(/of FMA rate: share of [\d.]+ GFLOP\/s, measured \(/);
    expect(first.stdout).toContain(`wrote the results to ${kept}\nwrote a roofline to ${plot}\n`);
    const second = await runCli([...tinyBench, '--compare', kept, '--cold', '--json']);
    expect(quiet(second.stderr)).toBe('');
    const { rows, device, ceilings, ceilingsMoved } = JSON.parse(second.stdout);
    expect(second.stderr === '').toBe(ceilingsMoved.length === 0);
    expect(device.id).toBe('cpu');
    expect(rows).toHaveLength(1);
    expect(rows[0].us).toBeGreaterThan(0);
    expect(rows[0].copies).toBeGreaterThan(1);
    expect(rows[0].speedup).toBeCloseTo(rows[0].baseline_us / rows[0].us, 2);
    expect(ceilings.flopsPerSecond).toBeGreaterThan(1e8);
    expect(readFileSync(plot, 'utf8')).toMatch(/^<svg .*<\/svg>\n$/s);
    rmSync(folder, { recursive: true });
  });

  it.each(['sparse-decode', 'sparse-prefill', 'dense-attention', 'quantize', 'append', 'metadata'])(
    'bench runs %s',
    async (op) => {
      const sizes: Record<string, string[]> = {
        'sparse-decode': ['--b', '1', '--h-q', '2', '--s-k', '256', '--topk', '64'],
        'sparse-prefill': ['--s-q', '2', '--h-q', '2', '--s-k', '256', '--topk', '64'],
        'dense-attention': ['--b', '1', '--h-q', '2', '--s-k', '64'],
        quantize: ['--s-k', '256'],
        append: ['--b', '2', '--s-k', '64'],
        metadata: ['--b', '3'],
      };
      const args = [
        'bench',
        op,
        '--device',
        'cpu',
        '--threads',
        '1',
        ...(sizes[op] ?? []),
        '--json',
      ];
      const { code, stdout, stderr } = await runCli(args);
      expect({ code, stderr: quiet(stderr) }).toEqual({ code: 0, stderr: '' });
      expect(JSON.parse(stdout).rows[0].us).toBeGreaterThan(0);
    },
  );

  it('bench says what is wrong with a baseline file', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'flash-mla-baseline-'));
    const file = join(folder, 'baseline.json');
    writeFileSync(file, '{"rows": 3}');
    const wrong = await runCli([...tinyBench, '--compare', file]);
    expect(wrong.stderr).toMatch(/baseline\.json: rows: expected an array of rows/);
    const missing = await runCli([...tinyBench, '--compare', join(folder, 'none.json')]);
    expect(missing.stderr).toMatch(/none\.json: there is no such file/);
    expect([wrong.code, missing.code]).toEqual([2, 2]);
    rmSync(folder, { recursive: true });
  });

  it('selftest holds the cases that a filter names to the reference', async () => {
    const args = ['selftest', '--device', 'cpu', '--filter', 'dense-decode b=2', '--json'];
    const { code, stdout, stderr } = await runCli(args);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const { totals, cases } = JSON.parse(stdout);
    expect(totals.passed).toBeGreaterThan(0);
    expect(totals).toEqual({ passed: cases.length, failed: 0, excluded: 0 });
  });

  it('selftest --fuzz runs drawn problems, and one again by its seed', async () => {
    const args = ['selftest', '--device', 'cpu', '--filter', 'prefill', '--json', '--fuzz'];
    const { code, stdout, stderr } = await runCli([...args, '3', '--seed', '7']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(JSON.parse(stdout)).toMatchObject({
      seed: '7',
      totals: { passed: 3, failed: 0 },
      operations: { 'sparse-prefill': { passed: 3, failed: 0 } },
      failures: [],
      interrupted: false,
      notRun: 0,
    });
    const one = ['selftest', '--device', 'cpu', '--fuzz', '1', '--seed', '7:3'];
    expect((await runCli(one)).stdout).toMatch(
      /drawn problems, seed 7:3\n[\s\S]*1 passed, 0 failed in/,
    );
  });

  it('demo passes', async () => {
    const { code, stdout, stderr } = await runCli(['demo', '--device', 'cpu', '--json']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const { pass, cases, loop } = JSON.parse(stdout);
    expect(pass).toBe(true);
    expect(cases).toHaveLength(7);
    expect(loop).toMatchObject({ steps: 64, tokens: 256, check: { pass: true } });
  });
});
