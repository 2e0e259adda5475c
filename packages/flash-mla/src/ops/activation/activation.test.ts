import { beforeEach, describe, expect, it } from 'vitest';
import { addScaled, type Device, swiGlu } from '../../index.ts';
import {
  type RecordingBackend,
  recordingDevice,
} from '../attention/api/testing/recording-backend.ts';
import { expectRefusal } from '../attention/api/testing/refusal.ts';
import { itAssembles } from '../kernel-lib/cuda/testing/assembly.ts';
import { type ElementsProblem, portableAddScaled, portableSwiGlu } from './cuda/kernels.ts';

let device: Device;
let backend: RecordingBackend;
beforeEach(() => {
  ({ device, backend } = recordingDevice());
});

type Change = (d: Device) => object;

describe('swiGlu', () => {
  it('halves the columns', () => {
    const x = device.empty([3, 128], 'bf16');
    expect(swiGlu({ x, dtype: 'f32' })).toMatchObject({ dtype: 'f32', shape: [3, 64] });
    swiGlu({ x: device.empty([0, 128], 'bf16') });
    expect(backend.calls).toHaveLength(1);
  });

  it.each<[string, string, Change]>([
    ['x', 'of another dtype', (d) => ({ x: d.empty([3, 8], 'f16') })],
    ['x.shape[1]', 'of an odd width', (d) => ({ x: d.empty([3, 9], 'bf16') })],
    ['out', 'of another shape', (d) => ({ out: d.empty([3, 8], 'bf16') })],
    ['dtype', 'unknown', () => ({ dtype: 'e4m3' })],
    ['ot', 'misspelt', () => ({ ot: 1 })],
  ])('refuses %s %s', (argument, _, change) => {
    const options = { x: device.empty([3, 8], 'bf16'), ...change(device) };
    expectRefusal(backend, () => swiGlu(options as never), argument);
  });
});

describe('addScaled', () => {
  const valid = (d: Device) => ({ target: d.empty([3, 8], 'f32'), x: d.empty([3, 8], 'bf16') });

  it('gives its target', () => {
    const options = valid(device);
    expect(addScaled({ ...options, scale: 2 })).toBe(options.target);
    expect(backend.calls).toMatchObject([{ operation: 'addScaled', args: { scale: 2 } }]);
  });

  it.each<[string, string, Change]>([
    [
      'target.strides',
      'whose rows overlap',
      (d) => ({ target: d.emptyStrided([3, 8], [4, 1], 'f32') }),
    ],
    ['target', 'in the memory of x', (d) => same(d)],
    ['x', 'of another shape', (d) => ({ x: d.empty([3, 9], 'bf16') })],
    ['scale', 'infinite', () => ({ scale: Number.POSITIVE_INFINITY })],
  ])('refuses %s %s', (argument, _, change) => {
    const options = { ...valid(device), ...change(device) };
    expectRefusal(backend, () => addScaled(options as never), argument);
  });

  function same(d: Device) {
    const x = d.empty([3, 8], 'bf16');
    return { x, target: x };
  }
});

describe('kernels', () => {
  const rows = (dtype: 'bf16' | 'f32', alignment: number) => ({ dtype, strides: [64], alignment });
  const problem = (alignment: number, more: Partial<ElementsProblem> = {}): ElementsProblem => ({
    ...{
      rows: 3,
      columns: 2048,
      x: rows('bf16', alignment),
      out: rows('bf16', alignment),
      ...more,
    },
  });

  it('have keys without rows and strides', () => {
    const far = { dtype: 'bf16', strides: [9999], alignment: 16 } as const;
    expect(portableSwiGlu.keyOf(problem(16, { rows: 99, x: far }))).toEqual(
      portableSwiGlu.keyOf(problem(16)),
    );
    expect(portableSwiGlu.keyOf(problem(8))).not.toEqual(portableSwiGlu.keyOf(problem(16)));
  });

  itAssembles(
    [problem(16), problem(2), problem(16, { columns: 37 })].flatMap((each, i) => [
      { name: `SwiGLU ${i}`, launch: () => portableSwiGlu.plan(each).launches.main },
      { name: `sum ${i}`, launch: () => portableAddScaled.plan(each).launches.main },
    ]),
  );
});
