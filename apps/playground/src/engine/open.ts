import { openDevice } from 'flash-mla';
import {
  type Comparison,
  compare,
  generateProblem,
  referenceAnswers,
  runProblem,
  toleranceOf,
} from 'flash-mla/cases';
import { device, replaceDevice } from './session.ts';

export interface OpenRequest {
  readonly id: string;
  /** CPU: threads; absent: as many as the machine has. */
  readonly threads?: number | undefined;
  /** WebGPU: only what every device has. */
  readonly defaultLimits?: boolean | undefined;
}

/** The device that is open now. */
export interface OpenedDevice {
  readonly id: string;
  readonly name: string;
  readonly parallelism: number;
  readonly memoryBytes: number | undefined;
  readonly details: Readonly<Record<string, string | number | boolean>>;
  readonly openMs: number;
  /** A first decode, its kernels compiled on the way, against the float64 reference. */
  readonly first: { readonly ms: number; readonly comparison: Comparison };
}

/** Two requests through 16 heads: small, and through every kernel that decoding has. */
const firstParams = {
  op: 'dense-decode',
  b: 2,
  sQ: 1,
  sK: 100,
  hQ: 16,
  hKv: 1,
  varlen: true,
} as const;

/** Opens a device in place of the one before, and shows that it works. */
export async function open({ id, threads, defaultLimits }: OpenRequest): Promise<OpenedDevice> {
  await replaceDevice(undefined);
  const begin = performance.now();
  const opened = await openDevice(id, {
    ...(id === 'cpu' && threads !== undefined && { threads }),
    ...(id === 'webgpu' && { webgpuProfile: defaultLimits ? 'default' : 'adapter' }),
  });
  await replaceDevice(opened);
  const openMs = performance.now() - begin;
  const { name, parallelism, memoryBytes, details } = opened.info;
  const first = await firstDecode();
  return { id, name, parallelism, memoryBytes, details, openMs, first };
}

async function firstDecode(): Promise<OpenedDevice['first']> {
  const problem = generateProblem('playground', firstParams);
  const begin = performance.now();
  const { answers } = await runProblem(device(), problem);
  const ms = performance.now() - begin;
  const expected = referenceAnswers(problem).out;
  if (!answers.out || !expected) throw new Error('The first decode gave no output.');
  const tolerance = toleranceOf(problem.op, 'out', answers.out.dtype);
  return { ms, comparison: compare('out', 'reference', answers.out, expected, tolerance) };
}
