import { describe, expect, it } from 'vitest';
import type { AttentionConfig } from '../../ops/attention/webgpu/config.ts';
import { workgroupBytes } from '../../ops/attention/webgpu/config.ts';
import type { ProblemOptions } from '../../ops/bench/operation.ts';
import { requestAdapter } from '../../runtime/webgpu/gpu.ts';
import { inspectTrace } from '../../runtime/webgpu/inspect/inspect.ts';
import { type KnownAdapter, knownAdapters } from '../../runtime/webgpu/inspect/known-adapters.ts';
import { useSwiftShader } from '../../runtime/webgpu/testing/swiftshader.ts';
import { runCli } from '../testing/run-cli.ts';
import { inspectOperations } from './operations.ts';
import { traceWebGpu } from './trace.ts';

const absent = useSwiftShader();
const why = absent ? `, skipped: ${absent}` : '';

async function trace(name: string, options: ProblemOptions, adapter: KnownAdapter) {
  const operation = inspectOperations.get(name);
  if (operation === undefined) throw new Error(`no operation ${name}`);
  return traceWebGpu(operation, options, adapter, knownAdapters[adapter]);
}

async function inspect(name: string, options: ProblemOptions, adapter: KnownAdapter) {
  const capabilities = knownAdapters[adapter];
  return inspectTrace(name, adapter, capabilities, await trace(name, options, adapter));
}

/** Of every operation what it accepts. */
function small(name: string): ProblemOptions {
  const all: ProblemOptions = { b: 2, sQ: 2, sK: 256, topk: 128, hQ: 16, extraTopk: 64 };
  const accepts: readonly string[] = inspectOperations.get(name)?.accepts ?? [];
  return Object.fromEntries(Object.entries(all).filter(([key]) => accepts.includes(key)));
}

/** Those that have kernels for WebGPU. */
const names = [...inspectOperations.values()]
  .filter(({ inspects }) => inspects.includes('webgpu'))
  .map(({ name }) => name);

describe('the WebGPU kernels of a problem', () => {
  it.each(
    names.flatMap((name) =>
      (['default', 'h200', 'swiftshader'] as const).map((adapter) => [name, adapter] as const),
    ),
  )('%s fits the limits of %s', async (name, adapter) => {
    const { launches, capabilities } = await inspect(name, small(name), adapter);
    expect(launches.length).toBeGreaterThan(0);
    for (const launch of launches) {
      expect(launch.workgroupBytes).toBeLessThanOrEqual(capabilities.workgroupBytes);
      // The text says what selection counted on.
      if ('work' in launch.config) {
        expect(launch.workgroupBytes).toBe(workgroupBytes(launch.config as AttentionConfig));
      }
      expect(launch.bindings.length - 1).toBeLessThanOrEqual(capabilities.storageBuffers);
      for (const { name: binding, bytes } of launch.bindings) {
        expect(bytes, binding).toBeGreaterThan(0);
        expect(bytes, binding).toBeLessThanOrEqual(capabilities.bindingBytes);
      }
      for (const extent of launch.workgroups) expect(extent).toBeLessThanOrEqual(65_535);
    }
  });

  // What a subgroup's size could change: its size, its number, and every operation over all of it.
  it.each(names)('%s ask nothing of subgroups but their quads', async (name) => {
    for (const adapter of ['h200', 'swiftshader', 'default'] as const) {
      const { dispatches } = await trace(name, small(name), adapter);
      for (const { source } of dispatches) {
        const { wgsl } = source();
        const words: string[] = wgsl.match(/\w*(?:subgroup|quad[A-Z])\w*/gi) ?? [];
        const uses = new Set(words.filter((word) => word !== 'subgroups'));
        uses.delete('quadSwapX');
        uses.delete('quadSwapY');
        expect([...uses]).toEqual([]);
        if (adapter === 'default') expect(wgsl).not.toMatch(/enable |quadSwap/);
      }
    }
  });

  it.skipIf(absent)(`are valid WGSL for devices that are not here, too${why}`, async () => {
    const adapter = await requestAdapter();
    const device = await adapter.requestDevice({ requiredFeatures: ['subgroups'] });
    for (const known of ['h200', 'swiftshader', 'default'] as const) {
      for (const name of names) {
        for (const options of [small(name), { ...small(name), hQ: 1 }]) {
          const { dispatches } = await trace(name, options, known);
          for (const dispatch of dispatches) {
            device.pushErrorScope('validation');
            const module = device.createShaderModule({ code: dispatch.source().wgsl });
            const { messages } = await module.getCompilationInfo();
            expect(
              messages.map(({ message }) => message),
              dispatch.name,
            ).toEqual([]);
            expect(await device.popErrorScope()).toBeNull();
          }
        }
      }
    }
    device.destroy();
  });

  it('spread a cache over the bindings that it takes', async () => {
    const options: ProblemOptions = { b: 8, sK: 65_536, hQ: 16 };
    const keys = async (adapter: KnownAdapter) =>
      (await inspect('dense-decode', options, adapter)).launches[0]?.bindings.filter(({ name }) =>
        /^keys\d$/.test(name),
      );
    expect((await keys('h200'))?.map(({ bytes }) => bytes)).toEqual([8 * 65_536 * 1152]);
    expect(await keys('default')).toHaveLength(5);
    expect((await keys('default'))?.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(
      8 * 65_536 * 1152,
    );
  });

  it('are one attention kernel and its combination for a decode call', async () => {
    const { launches, scratchBytes } = await inspect(
      'sparse-decode',
      small('sparse-decode'),
      'h200',
    );
    expect(launches.map(({ kernel }) => kernel)).toEqual([
      expect.stringMatching(/^sparse-decode bf16×v32 576\/512, 16 rows × 128 tokens/),
      'combine bf16 512',
    ]);
    expect(launches[0]?.bindings.find(({ name }) => name === 'workspace')?.bytes).toBe(
      scratchBytes,
    );
    expect((await inspect('combine', small('combine'), 'h200')).launches).toHaveLength(1);
  });
});

describe('flash-mla inspect --device webgpu', () => {
  const command = ['inspect', 'dense-decode', '--device', 'webgpu'];

  it('prints a report, JSON or the WGSL', async () => {
    const [text, json, wgsl] = await Promise.all([
      runCli(command),
      runCli([...command, '--json', '--workgroup-memory', '16384']),
      runCli([...command, '--wgsl', '--no-subgroups']),
    ]);
    expect(text.stdout).toMatch(/launch {5}\d+×\d+×1 workgroups of 256 invocations/);
    expect(text.stdout).toMatch(/pool +\d+ B {2}vec4<f32> × \d+/);
    expect(JSON.parse(json.stdout)).toMatchObject({
      adapter: 'h200',
      launches: [{ config: { rows: 4 }, workgroupSize: 256 }, { kernel: 'combine bf16 512' }],
    });
    expect(wgsl.stdout).toMatch(/^struct Params \{/);
    expect(wgsl.stdout).not.toMatch(/quadSwap/);
  });

  it.each([
    [['--ptx'], /--ptx has no meaning with --device webgpu/],
    [['--arch', 'sm_80'], /--arch has no meaning with --device webgpu/],
    [['--wgsl', '--json'], /not both/],
    [['--limits', 'toaster'], /toaster/],
    [['--device', 'cuda', '--wgsl'], /--wgsl has no meaning with --device cuda/],
  ])('refuses %j', async (args, message) => {
    const { stdout, stderr, code } = await runCli([...command, ...args]);
    expect(code).toBe(2);
    expect(stdout + stderr).toMatch(message);
  });
});
