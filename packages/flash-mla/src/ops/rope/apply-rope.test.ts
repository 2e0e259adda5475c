import { beforeEach, describe, expect, it } from 'vitest';
import { applyRope, type Device } from '../../index.ts';
import {
  type RecordingBackend,
  recordingDevice,
} from '../attention/api/testing/recording-backend.ts';
import { expectRefusal } from '../attention/api/testing/refusal.ts';
import { itAssembles } from '../kernel-lib/cuda/testing/assembly.ts';
import { portableRope, type RopeProblem } from './cuda/kernels.ts';

let device: Device;
let backend: RecordingBackend;
beforeEach(() => {
  ({ device, backend } = recordingDevice());
});

describe('applyRope', () => {
  const valid = (d: Device) => ({
    x: d.empty([3, 4, 192], 'bf16').slice(2, 128, 192),
    cos: d.empty([50, 32], 'f32'),
    sin: d.empty([50, 32], 'f32'),
    positions: d.empty([3], 'i32'),
    pairs: 'interleaved' as const,
  });

  it('rotates in place unless there is an output', () => {
    const options = valid(device);
    expect(applyRope(options)).toBe(options.x);
    const out = device.empty([3, 4, 64], 'f32');
    expect(applyRope({ ...options, out })).toBe(out);
    expect(backend.calls).toMatchObject([
      { operation: 'applyRope', args: { interleaved: true, out: options.x } },
      { operation: 'applyRope', args: { interleaved: true, out } },
    ]);
  });

  it.each<[string, string, (d: Device) => object]>([
    ['x', 'of another rank', (d) => ({ x: d.empty([3, 64], 'bf16') })],
    ['x.shape[2]', 'of an odd width', (d) => ({ x: d.empty([3, 4, 63], 'bf16') })],
    ['x.shape[2]', 'too wide', (d) => ({ x: d.empty([3, 4, 514], 'bf16') })],
    ['cos.shape[1]', 'of another width', (d) => ({ cos: d.empty([50, 64], 'f32') })],
    ['cos', 'apart', (d) => ({ cos: d.emptyStrided([50, 32], [64, 1], 'f32') })],
    ['cos.shape[0]', 'of too few positions', (d) => ({ ...few(d), positions: null })],
    ['sin.shape[0]', 'of other positions', (d) => ({ sin: d.empty([49, 32], 'f32') })],
    ['positions', 'of another length', (d) => ({ positions: d.empty([4], 'i32') })],
    ['pairs', 'left out', () => ({ pairs: undefined })],
    ['pairs', 'unknown', () => ({ pairs: 'neox' })],
    ['out', 'of another shape', (d) => ({ out: d.empty([3, 4, 62], 'bf16') })],
    ['out', 'that overlaps x', (d) => overlapping(d)],
  ])('refuses %s %s', (argument, _, change) => {
    const options = { ...valid(device), ...change(device) };
    expectRefusal(backend, () => applyRope(options as never), argument);
  });

  const few = (d: Device) => ({ cos: d.empty([2, 32], 'f32'), sin: d.empty([2, 32], 'f32') });
  function overlapping(d: Device) {
    const memory = d.empty([3, 4, 66], 'bf16');
    return { x: memory.slice(2, 0, 64), out: memory.slice(2, 2, 66) };
  }
});

describe('kernels', () => {
  const problem = (more: Partial<RopeProblem> = {}): RopeProblem => ({
    ...{ rows: 3, heads: 16, dim: 64, known: 50, x: 'bf16', out: 'bf16' },
    ...{ interleaved: true, hasPositions: true, ...more },
  });

  it('have keys without rows, heads and positions', () => {
    expect(portableRope.keyOf(problem({ rows: 99, heads: 1, known: 7 }))).toEqual(
      portableRope.keyOf(problem()),
    );
    expect(portableRope.keyOf(problem({ interleaved: false }))).not.toEqual(
      portableRope.keyOf(problem()),
    );
  });

  itAssembles(
    [problem(), problem({ interleaved: false, x: 'f32', out: 'f32', hasPositions: false })].map(
      (each, i) => ({ name: `pairs ${i}`, launch: () => portableRope.plan(each).launches.main }),
    ),
  );
});
