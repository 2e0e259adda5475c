import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { runCli } from '../testing/run-cli.ts';
import { knownGpu, knownGpus } from './known-gpus.ts';
import { inspectOperations } from './operations.ts';
import { traceCuda } from './trace.ts';

const hasPtxas = spawnSync('ptxas', ['--version']).status === 0;

interface Report {
  readonly family: string;
  readonly gpu: { readonly name: string; readonly target: string };
  readonly problem: { readonly batch: number; readonly plan: { readonly numParts: number } };
  readonly launches: readonly {
    readonly role: string;
    readonly grid: readonly number[];
    readonly sharedBytes: number;
    readonly shared: readonly { readonly name: string; readonly offset: number }[];
    readonly counters?: { readonly warpInstructions: number; readonly globalLoadBytes: number };
    readonly assembly?: { readonly registers: number; readonly spillBytes: number };
  }[];
}

async function inspect(...args: string[]): Promise<Report> {
  const { stdout, stderr, code } = await runCli(['inspect', ...args, '--json']);
  expect(stderr).toBe('');
  expect(code).toBe(0);
  return JSON.parse(stdout) as Report;
}

describe('selection', () => {
  it('finds kernels for every operation on every architecture', async () => {
    for (const operation of inspectOperations.values()) {
      for (const gpu of knownGpus) {
        const inspection = await traceCuda(operation, {}, gpu);
        expect(inspection.launches.length, `${operation.name} on ${gpu.name}`).toBeGreaterThan(0);
        for (const { sharedBytes } of inspection.launches) {
          expect(sharedBytes).toBeLessThanOrEqual(gpu.maxSharedPerBlock);
        }
      }
    }
  });

  it('knows an architecture with and without its suffix', () => {
    expect(knownGpu('sm_90a')).toBe(knownGpu('sm_90'));
    expect(knownGpu('sm_91')).toBeUndefined();
    expect(knownGpu('90')).toBeUndefined();
  });
});

describe('flash-mla inspect', () => {
  it('prints problem, plan, launches and shared memory as JSON', async () => {
    const report = await inspect('dense-decode', '--b', '4', '--h-q', '64', '--s-k', '4096');
    expect(report).toMatchObject({
      gpu: { name: 'NVIDIA H200', target: 'sm_90' },
      problem: { batch: 4, numHeadsQ: 64, maxBlocks: 64 },
    });
    const [main] = report.launches;
    expect(main?.role).toBe('main');
    expect(main?.shared[0]?.offset).toBe(0);
    expect(main?.assembly !== undefined).toBe(hasPtxas);
    if (hasPtxas) expect(main?.assembly?.spillBytes).toBe(0);
  });

  it('follows the architecture', async () => {
    const [large, small] = await Promise.all(
      ['sm_90a', 'sm_89'].map((arch) => inspect('dense-decode', '--arch', arch)),
    );
    expect(small?.launches[0]?.sharedBytes).toBeLessThanOrEqual(99 * 1024);
    expect(large?.launches[0]?.sharedBytes).toBeGreaterThan(99 * 1024);
  });

  it('prints the PTX alone', async () => {
    const { stdout, code } = await runCli(['inspect', 'combine', '--ptx', '--arch', 'sm_80']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^\.version \d\.\d\n\.target sm_80\n/);
    expect(stdout).toMatch(/\.visible \.entry sm80_combine\(/);
  });

  it('counts what a kernel does in the simulator', async () => {
    const problem = ['--b', '1', '--h-q', '16', '--s-k', '64', '--arch', 'sm_80'];
    const { launches } = await inspect('dense-decode', ...problem, '--simulate');
    const [main] = launches;
    expect(main?.counters?.warpInstructions).toBeGreaterThan(1000);
    // At least each of the 64 rows and 16 queries of 576 bf16; lanes that share a byte all count.
    const rows = (64 + 16) * 576 * 2;
    expect(main?.counters?.globalLoadBytes).toBeGreaterThanOrEqual(rows);
    expect(main?.counters?.globalLoadBytes).toBeLessThan(20 * rows);
    const { code, stderr } = await runCli(['inspect', 'dequantize', '--simulate']);
    expect([code, stderr]).toEqual([2, expect.stringMatching(/does not know dequantize/)]);
  });

  it('shows the machine code of the processor', async () => {
    const { stdout } = await runCli(['inspect', 'dense-decode', '--device', 'cpu', '--listing']);
    expect(stdout).toMatch(/^; rows_bf16: \d+ bytes, needs .*avx512_bf16/);
    expect(stdout).toMatch(/vdpbf16ps zmm\d+, zmm\d+, zmm\d+/);
    const { code } = JSON.parse(
      (await runCli(['inspect', 'linear', '--device', 'cpu', '--kernels', 'avx2', '--json']))
        .stdout,
    );
    expect(code).toMatchObject([
      { role: 'dots', kernel: 'dots_avx2' },
      { role: 'scaledDots', kernel: 'scaled_dots_avx2' },
    ]);
    const metadata = await runCli(['inspect', 'metadata', '--device', 'cpu']);
    expect(metadata.stdout).toMatch(/none: WebAssembly does all of it/);
  });

  it('prints text for people', async () => {
    const { stdout } = await runCli(['inspect', 'quantize', '--kv-layout', 'model1']);
    expect(stdout).toMatch(/quantizeKvCache by kernel family sm80/);
    expect(stdout).toMatch(/grid \d+×\d+×\d+, block \d+×1×1/);
  });

  it.each([
    [['nothing'], /no operation 'nothing'/],
    [['dense-decode', '--arch', 'sm_70'], /--arch sm_70: choose sm_80/],
    [['dense-decode', '--topk', '64'], /--topk has no meaning for dense-decode/],
    [['dense-decode', '--ptx', '--json'], /not both/],
    [['dense-decode', '--device', 'cpu', '--ptx'], /--ptx has no meaning with --device cpu/],
    [['dense-decode', '--listing'], /--listing has no meaning with --device cuda/],
    [['metadata', '--device', 'cpu', '--listing'], /metadata has no machine code/],
    [['combine', '--b', '132', '--s-k', '64'], /needs no combine/],
  ])('refuses %j', async (args, message) => {
    const { stderr, stdout, code } = await runCli(['inspect', ...args]);
    expect(code).toBe(2);
    expect(stdout === '' || args.includes('--json')).toBe(true);
    expect(stderr + stdout).toMatch(message);
  });
});
