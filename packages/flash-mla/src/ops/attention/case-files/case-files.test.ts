import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FileFormatError } from '@flash-mla/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Device, openDevice } from '../../../index.ts';
import {
  bundledCaseUrl,
  type CaseParams,
  type CaseProblem,
  describeComparison,
  encodeCase,
  encodeSafetensors,
  generateProblem,
  loadCase,
  openSafetensors,
  recordedCaseNames,
  runCase,
  saveCase,
  type WritableTensor,
} from '../../cases.ts';
import type { HostTensor } from '../../reference.ts';

let device: Device;
let folder = '';
beforeAll(async () => {
  device = await openDevice('cpu');
  folder = await mkdtemp(join(tmpdir(), 'cases-'));
});
afterAll(async () => {
  await device.dispose();
  await rm(folder, { recursive: true, force: true });
});

/** Vitest takes seconds to compare large arrays element by element. */
function withDigests(value: unknown): unknown {
  if (ArrayBuffer.isView(value)) {
    const bytes = new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
    return createHash('sha256').update(bytes).digest('hex');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, withDigests(each)]));
}

describe.each(recordedCaseNames)('%s', (name) => {
  it.each([
    ['as it is', {}],
    ['strided', { gap: 16 }],
    ['with odd strides', { gap: 1 }],
    ['with metadata tensors', { metadata: 'tensors' }],
    ['deterministic', { deterministic: true }],
    ['from a graph', { graph: true }],
  ] as const)('meets the float32 answer and that of the H200, %s', async (_, options) => {
    const report = await runCase(device, await loadCase(bundledCaseUrl(name)), options);
    const failures = report.comparisons.filter(({ pass }) => !pass).map(describeComparison);
    expect(failures).toEqual([]);
    expect(report.comparisons).toHaveLength(name.startsWith('prefill') ? 6 : 4);
    expect(report.comparisons.every(({ compared, elements }) => compared === elements)).toBe(true);
    expect(report.microseconds).toBeGreaterThan(0);
  });

  it('is saved as it was loaded', async () => {
    const path = join(folder, `${name}.safetensors`);
    const loaded = await loadCase(bundledCaseUrl(name));
    await saveCase(path, loaded);
    const again = await loadCase(path);
    expect(withDigests(again)).toEqual(withDigests(loaded));
    const [before, after] = await Promise.all(
      [bundledCaseUrl(name), path].map((f) => openSafetensors(f)),
    );
    expect(new Set(after?.entries.keys())).toEqual(new Set(before?.entries.keys()));
    for (const key of [
      'op',
      'head_dim_v',
      'd_v',
      'softmax_scale',
      'sm_scale',
      'kv_layout',
      'causal',
    ]) {
      expect(after?.metadata.get(key), key).toBe(before?.metadata.get(key));
    }
    await before?.close();
    await after?.close();
  });
});

it.each<CaseParams & { op: CaseProblem['op'] }>([
  { op: 'dense-decode', b: 2, sQ: 1, sK: 20, hQ: 2, hKv: 1, dtype: 'e4m3', descales: true },
  { op: 'dense-decode', b: 2, sQ: 2, sK: 20, hQ: 4, hKv: 2, dtype: 'f16', causal: true },
  {
    ...{ op: 'sparse-decode', layout: 'bf16', b: 2, sQ: 1, hQ: 4, sink: 'infinite' },
    cache: { sK: 40, topk: 16, page: 3, lengths: true },
    extra: { sK: 20, topk: 8, page: 2 },
  },
])('saves and loads what no bundled file has: $op $dtype $layout', async (params) => {
  const problem = generateProblem('saved', params) as CaseProblem;
  const bytes = await encodeCase({ problem, answers: { expected: {}, flashmla: {} } });
  const loaded = await loadCase(bytes, 'folder/some.safetensors');
  expect(loaded.name).toBe('some');
  const dQk = problem.q.shape.at(-1) as number;
  const scale = 'softmaxScale' in problem ? problem.softmaxScale : undefined;
  const expected = { ...problem, softmaxScale: scale ?? 1 / Math.sqrt(dQk) };
  if (expected.op === 'dense-decode') expected.causal ??= false;
  expect(withDigests(loaded.problem)).toEqual(withDigests(expected));
});

it('a wrong answer in the file is found, with its place', async () => {
  const original = await loadCase(bundledCaseUrl('dense_varlen'));
  const out = original.answers.expected.out as HostTensor<'bf16'>;
  const data = out.data.slice();
  data[3 * 512 + 17] = 0x3f80;
  const expected = { ...original.answers.expected, out: { ...out, data } };
  const answers = { ...original.answers, expected };
  const report = await runCase(device, { ...original, answers });
  expect(report.pass).toBe(false);
  const [bad] = report.comparisons.filter(({ pass }) => !pass);
  expect(bad).toMatchObject({ answer: 'out', against: 'expected', failed: 1 });
  expect(bad?.firstBad).toMatchObject({ index: [0, 0, 3, 17], expected: 1 });
});

describe('a case file that is wrong is refused, naming the field', () => {
  type Edit = (tensors: Map<string, WritableTensor>, metadata: Record<string, string>) => void;

  async function edited(name: (typeof recordedCaseNames)[number], edit: Edit) {
    const file = await openSafetensors(new Uint8Array(readFileSync(bundledCaseUrl(name))));
    const tensors = new Map<string, WritableTensor>();
    for (const key of file.entries.keys()) tensors.set(key, await file.read(key));
    const metadata = Object.fromEntries(file.metadata);
    edit(tensors, metadata);
    return encodeSafetensors(tensors, metadata);
  }

  const drop =
    (name: string): Edit =>
    (tensors) =>
      tensors.delete(name);
  const set =
    (key: string, value: string): Edit =>
    (_, metadata) => {
      metadata[key] = value;
    };
  const put =
    (name: string, tensor: WritableTensor): Edit =>
    (tensors) =>
      tensors.set(name, tensor);
  const i32 = (shape: number[], fill = 0): WritableTensor => {
    const count = shape.reduce((product, n) => product * n, 1);
    return { dtype: 'i32', shape, data: new Int32Array(count).fill(fill) };
  };

  it.each<[string, (typeof recordedCaseNames)[number], Edit, string]>([
    ['no op', 'dense_varlen', (_, m) => delete m.op, '__metadata__.op'],
    ['an unknown op', 'dense_varlen', set('op', 'x'), '__metadata__.op'],
    ['no q', 'dense_varlen', drop('q'), 'tensor q'],
    ['no block table', 'dense_varlen', drop('block_table'), 'tensor block_table'],
    ['a block outside', 'dense_varlen', put('block_table', i32([2, 4], 8)), 'block_table[0, 0]'],
    ['a negative block', 'dense_varlen', put('block_table', i32([2, 4], -1)), 'block_table[0, 0]'],
    ['another batch', 'dense_varlen', put('block_table', i32([3, 4])), 'block_table.shape[0]'],
    ['too long', 'dense_varlen', put('cache_seqlens', i32([2], 300)), 'cache_seqlens[0]'],
    ['a negative length', 'dense_varlen', put('cache_seqlens', i32([2], -1)), 'cache_seqlens[0]'],
    ['a wrong rank', 'dense_varlen', put('cache_seqlens', i32([2, 1])), 'cache_seqlens'],
    ['a wrong dtype', 'dense_varlen', put('q', i32([2, 1, 16, 576])), 'q.dtype'],
    ['head_dim_v too large', 'dense_varlen', set('head_dim_v', '577'), '__metadata__.head_dim_v'],
    ['head_dim_v not of out', 'dense_varlen', set('head_dim_v', '256'), 'expected.out.shape[3]'],
    ['head_dim_v no number', 'dense_varlen', set('head_dim_v', '5e2'), '__metadata__.head_dim_v'],
    ['a NaN scale', 'dense_varlen', set('softmax_scale', 'nan'), '__metadata__.softmax_scale'],
    ['a scale of 0', 'dense_varlen', set('softmax_scale', '0'), '__metadata__.softmax_scale'],
    [
      'a long scale',
      'dense_varlen',
      set('softmax_scale', '1'.repeat(99)),
      '__metadata__.softmax_scale',
    ],
    ['causal no flag', 'dense_varlen', set('causal', '1'), '__metadata__.causal'],
    ['fp8 flag lies', 'dense_varlen', set('is_fp8_kvcache', 'true'), '__metadata__.is_fp8_kvcache'],
    ['no rows', 'dense_varlen', put('q', i32([2, 0, 16, 576])), 'q.shape[1]'],
    [
      'an answer of another shape',
      'dense_varlen',
      put('expected.lse', { dtype: 'f32', shape: [2, 1, 16], data: new Float32Array(32) }),
      'expected.lse.shape[1]',
    ],
    ['unknown layout', 'sparse_v32', set('kv_layout', 'v33'), '__metadata__.kv_layout'],
    ['another page', 'sparse_v32', set('page_block_size', '63'), 'k_cache.shape[1]'],
    ['page of 0', 'sparse_v32', set('page_block_size', '0'), '__metadata__.page_block_size'],
    ['indices of another batch', 'sparse_v32', put('indices', i32([1, 1, 64])), 'indices.shape[0]'],
    [
      'a sink of another length',
      'sparse_v32',
      put('attn_sink', { dtype: 'f32', shape: [63], data: new Float32Array(63) }),
      'attn_sink.shape[0]',
    ],
    [
      'no extra indices',
      'sparse_model1_extra',
      drop('extra_indices_in_kvcache'),
      'tensor extra_indices_in_kvcache',
    ],
    ['no kv', 'prefill_512', drop('kv'), 'tensor kv'],
    ['d_v too large', 'prefill_512', set('d_v', '600'), '__metadata__.d_v'],
  ])('%s', async (_, name, edit, field) => {
    const bytes = await edited(name, edit);
    const error = await loadCase(bytes).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(FileFormatError);
    expect((error as FileFormatError).field).toBe(field);
  });
});
