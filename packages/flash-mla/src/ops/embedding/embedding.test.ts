import { beforeEach, describe, expect, it } from 'vitest';
import { type Device, embedding } from '../../index.ts';
import {
  type RecordingBackend,
  recordingDevice,
} from '../attention/api/testing/recording-backend.ts';
import { expectRefusal } from '../attention/api/testing/refusal.ts';
import { itAssembles } from '../kernel-lib/cuda/testing/assembly.ts';
import { type EmbeddingProblem, portableEmbedding } from './cuda/kernels.ts';

let device: Device;
let backend: RecordingBackend;
beforeEach(() => {
  ({ device, backend } = recordingDevice());
});

describe('embedding', () => {
  const valid = (d: Device) => ({ table: d.empty([9, 8], 'bf16'), ids: d.empty([3], 'i32') });

  it('gives a row for each id', () => {
    const out = embedding({ ...valid(device), dtype: 'f32' });
    expect(out).toMatchObject({ dtype: 'f32', shape: [3, 8] });
    embedding({ ...valid(device), ids: device.empty([0], 'i32') });
    expect(backend.calls).toHaveLength(1);
  });

  it.each<[string, string, (d: Device) => object]>([
    ['table', 'of another dtype', (d) => ({ table: d.empty([9, 8], 'e4m3') })],
    ['table.shape[0]', 'without entries', (d) => ({ table: d.empty([0, 8], 'bf16') })],
    ['ids', 'of another dtype', (d) => ({ ids: d.empty([3], 'i64') })],
    ['ids', 'apart', (d) => ({ ids: d.emptyStrided([3], [2], 'i32') })],
    ['out', 'of another shape', (d) => ({ out: d.empty([4, 8], 'bf16') })],
    ['scale', 'no number', () => ({ scale: '2' })],
  ])('refuses %s %s', (argument, _, change) => {
    const options = { ...valid(device), ...change(device) };
    expectRefusal(backend, () => embedding(options as never), argument);
  });
});

describe('kernels', () => {
  const rows = (dtype: 'bf16' | 'f32', alignment: number) => ({ dtype, strides: [64], alignment });
  const problem = (more: Partial<EmbeddingProblem> = {}): EmbeddingProblem => ({
    ...{
      rows: 3,
      entries: 9,
      columns: 2048,
      table: rows('bf16', 16),
      out: rows('f32', 16),
      ...more,
    },
  });

  it('have keys without rows and entries', () => {
    expect(portableEmbedding.keyOf(problem({ rows: 99, entries: 5 }))).toEqual(
      portableEmbedding.keyOf(problem()),
    );
  });

  itAssembles(
    [problem(), problem({ columns: 37 })].map((each, i) => ({
      ...{ name: `rows ${i}`, launch: () => portableEmbedding.plan(each).launches.main },
    })),
  );
});
