import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Device, defineCpuKernel, expertMlp, openDevice, routeExperts } from '../../index.ts';
import {
  type RecordingBackend,
  recordingDevice,
} from '../attention/api/testing/recording-backend.ts';
import { expectRefusal } from '../attention/api/testing/refusal.ts';
import { runConformance } from '../cases.ts';
import { type Fault, faultyDevice } from '../conformance/testing/faulty-backend.ts';
import { cutExperts, expertCommand } from './cpu/kernels.ts';
import { expertMlpOperation } from './operation.ts';

let device: Device;
let backend: RecordingBackend;
beforeEach(() => {
  ({ device, backend } = recordingDevice());
});

type Change = (d: Device) => object;

describe('the arguments of routeExperts', () => {
  const valid = (d: Device) => ({
    ...{ logits: d.empty([3, 64], 'f32'), topK: 6, scoring: 'sigmoid' as const },
  });

  it('give experts and weights', () => {
    const { experts, weights } = routeExperts(valid(device));
    expect([experts.dtype, experts.shape]).toEqual(['i32', [3, 6]]);
    expect([weights.dtype, weights.shape]).toEqual(['f32', [3, 6]]);
    expect(backend.calls).toMatchObject([{ args: { groups: 1, topGroups: 1, normalize: false } }]);
    routeExperts({ ...valid(device), logits: device.empty([0, 64], 'f32') });
    expect(backend.calls).toHaveLength(1);
  });

  it.each<[string, string, Change]>([
    ['logits', 'of another dtype', (d) => ({ logits: d.empty([3, 64], 'f16') })],
    ['logits.shape[1]', 'of too many experts', (d) => ({ logits: d.empty([3, 2000], 'f32') })],
    ['bias', 'of another dtype', (d) => ({ bias: d.empty([64], 'bf16') })],
    ['bias', 'of another width', (d) => ({ bias: d.empty([63], 'f32') })],
    ['groups', 'that do not divide', () => ({ groups: 7 })],
    ['topGroups', 'of more than there are', () => ({ groups: 8, topGroups: 9 })],
    ['topK', 'beyond the groups', () => ({ groups: 16, topGroups: 1, topK: 5 })],
    ['topK', 'of 0', () => ({ topK: 0 })],
    ['sharedExperts', 'of too many', () => ({ sharedExperts: 59 })],
    ['scoring', 'left out', () => ({ scoring: undefined })],
    ['groupScore', 'unknown', () => ({ groupScore: 'sum' })],
    ['experts', 'of another shape', (d) => ({ experts: d.empty([3, 5], 'i32') })],
    ['weights', 'apart', (d) => ({ weights: d.emptyStrided([3, 6], [8, 1], 'f32') })],
  ])('%s %s is refused', (argument, _, change) => {
    const options = { ...valid(device), ...change(device) };
    expectRefusal(backend, () => routeExperts(options as never), argument);
  });
});

describe('the arguments of expertMlp', () => {
  const valid = (d: Device) => ({
    ...{ x: d.empty([3, 64], 'bf16'), experts: d.empty([3, 2], 'i32') },
    ...{ weights: d.empty([3, 2], 'f32'), gateUp: d.empty([4, 80, 64], 'bf16') },
    down: d.empty([4, 64, 40], 'bf16'),
  });

  it('give rows like x', () => {
    expect(expertMlp(valid(device))).toMatchObject({ dtype: 'bf16', shape: [3, 64] });
    expect(backend.calls).toHaveLength(1);
  });

  it.each<[string, string, Change]>([
    ['x', 'of another dtype', (d) => ({ x: d.empty([3, 64], 'f16') })],
    ['experts', 'of other rows', (d) => ({ experts: d.empty([4, 2], 'i32') })],
    ['experts', 'of too many a row', (d) => ({ experts: d.empty([3, 65], 'i32') })],
    ['weights', 'of another shape', (d) => ({ weights: d.empty([3, 3], 'f32') })],
    ['gateUp.shape[1]', 'of an odd height', (d) => ({ gateUp: d.empty([4, 81, 64], 'bf16') })],
    ['gateUp.shape[2]', 'of another width', (d) => ({ gateUp: d.empty([4, 80, 63], 'bf16') })],
    ['down', 'of another dtype', (d) => ({ down: d.empty([4, 64, 40], 'f32') })],
    ['down', 'of another shape', (d) => ({ down: d.empty([3, 64, 40], 'bf16') })],
    ['gateUpScales', 'for bf16', (d) => ({ gateUpScales: d.empty([4, 1, 1], 'f32') })],
    ['downScales', 'missing', (d) => ({ ...scaled(d), downScales: undefined })],
    [
      'downScales',
      'of another shape',
      (d) => ({ ...scaled(d), downScales: d.empty([4, 2, 1], 'f32') }),
    ],
    ['out', 'of another shape', (d) => ({ out: d.empty([3, 63], 'bf16') })],
  ])('%s %s is refused', (argument, _, change) => {
    const options = { ...valid(device), ...change(device) };
    expectRefusal(backend, () => expertMlp(options as never), argument);
  });

  const scaled = (d: Device) => ({
    ...{ gateUp: d.empty([4, 80, 64], 'e4m3'), down: d.empty([4, 64, 40], 'e4m3') },
    ...{ gateUpScales: d.empty([4, 1, 1], 'f32'), downScales: d.empty([4, 1, 1], 'f32') },
  });
});

it('experts of many rows are computed some rows at a time', async () => {
  const sizes = { rows: 50_000, topK: 8, experts: 256, hidden: 7168, width: 2048 };
  const { rowChunk, rowBlock, sharedBytes } = cutExperts(sizes);
  expect(rowChunk).toBeLessThan(sizes.rows);
  expect(sharedBytes).toBeLessThan(2 ** 27);
  expect(rowBlock % 3).toBe(0);
  const command = (...[context, args]: Parameters<typeof expertCommand>) =>
    expertCommand(context, args, 2000);
  const kernel = defineCpuKernel({ operation: expertMlpOperation, command });
  const chunks = { name: 'small chunks', cpu: async () => [kernel] };
  const cpu = await openDevice('cpu', { kernels: [chunks], threads: 3 });
  let passed = 0;
  for await (const { message, name } of runConformance(cpu, { filter: 'expert-mlp' })) {
    expect([name, message]).toEqual([name, '']);
    passed++;
  }
  expect(passed).toBeGreaterThan(5);
  await cpu.dispose();
});

describe('a device with one fault fails', () => {
  let cpu: Device;
  beforeAll(async () => {
    cpu = await openDevice('cpu');
  });
  afterAll(() => cpu.dispose());

  it.each<[string, string, (args: object) => object]>([
    ['leaves the bias out', 'routeExperts', (args) => ({ ...args, bias: undefined })],
    ['does not normalise', 'routeExperts', (args) => ({ ...args, normalize: false })],
    ['ignores groups', 'routeExperts', (args) => ({ ...args, topGroups: 1, groups: 1 })],
    ['judges groups otherwise', 'routeExperts', (args) => ({ ...args, groupScore: 'max' })],
    ['leaves the residual out', 'expertMlp', (args) => ({ ...args, residual: undefined })],
  ])('%s', async (_, operation, change) => {
    const faulty = faultyDevice(cpu, { [operation]: change } as Fault);
    const failed: string[] = [];
    for await (const { status, name } of runConformance(faulty, { filter: 'expert' })) {
      if (status === 'failed') failed.push(name);
    }
    expect(failed.length).toBeGreaterThan(0);
  });
});
