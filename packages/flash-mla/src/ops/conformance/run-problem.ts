import { hostTensor } from '@flash-mla/core';
import type { Device } from '../../runtime/device/device.ts';
import { Inputs } from './inputs.ts';
import { type Answers, answerNames, type Problem } from './problem.ts';
import type { ProblemKind } from './problem-kind.ts';
import type { LengthValues, Operation, Variant } from './variant.ts';

/** How {@link runOfKind} runs. */
export interface RunOptions extends Variant {
  /** Timed runs after one that is not; the median counts. Default: the first run is timed. */
  readonly repeats?: number;
  /** Record the operation while other lengths are on the device, then replay it. */
  readonly graph?: boolean;
  /** Aborts between runs; the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** What a device made of a problem. */
export interface RunResult {
  readonly answers: Answers;
  /** Time of one call: on the device where its backend can tell, else until it has synchronised. */
  readonly microseconds: number;
}

/**
 * Runs a problem through the public API. Outputs are full of NaN before, so what is not written shows.
 * Rejects with what the API throws and with what went wrong on the device.
 */
export async function runOfKind<P extends Problem>(
  device: Device,
  kind: ProblemKind<P>,
  problem: P,
  options: RunOptions = {},
): Promise<RunResult> {
  const { signal, repeats = 0, graph = false } = options;
  signal?.throwIfAborted();
  const operation = prepare(device, kind, problem, options);
  try {
    const times = [graph ? await replay(device, operation) : await time(device, operation.enqueue)];
    for (let i = 0; i < repeats; i++) {
      signal?.throwIfAborted();
      times.push(await time(device, operation.enqueue));
    }
    const timed = times.slice(repeats > 0 ? 1 : 0).sort((a, b) => a - b);
    return {
      answers: await readAnswers(operation),
      microseconds: timed[Math.floor(timed.length / 2)] as number,
    };
  } finally {
    operation.dispose();
  }
}

/** Uploads a problem. Throws what the API throws for it, at the latest in `enqueue`. */
export function prepare<P extends Problem>(
  device: Device,
  kind: ProblemKind<P>,
  problem: P,
  variant: Variant = {},
): Operation {
  const inputs = new Inputs(device, variant);
  try {
    return kind.prepare(inputs, problem);
  } catch (error) {
    inputs.uploads.dispose();
    throw error;
  }
}

async function time(device: Device, enqueue: () => void): Promise<number> {
  await device.synchronize();
  const { deviceTime } = device.backend.measurements ?? {};
  if (deviceTime) return (await deviceTime(enqueue)) * 1e6;
  const begin = performance.now();
  enqueue();
  await device.synchronize();
  return (performance.now() - begin) * 1e3;
}

/** A graph must read its lengths when it is replayed, not when it was captured. */
async function replay(device: Device, { enqueue, lengths }: Operation): Promise<number> {
  for (const { values, write } of lengths) write(halved(values));
  const graph = device.capture(enqueue);
  try {
    for (const { values, write } of lengths) write(values);
    return await time(device, () => graph.replay());
  } finally {
    await device.synchronize();
    graph.dispose();
  }
}

/** Lengths or slots that are no more than the given ones. */
function halved(values: LengthValues): LengthValues {
  return values instanceof BigInt64Array ? values.map((n) => n >> 1n) : values.map((n) => n >> 1);
}

/** Reads all results. */
export async function readAnswers({ results }: Pick<Operation, 'results'>): Promise<Answers> {
  const answers: { -readonly [Name in keyof Answers]: Answers[Name] } = {};
  for (const name of answerNames) {
    const tensor = results[name];
    if (!tensor) continue;
    answers[name] = hostTensor(tensor.dtype, tensor.shape, await tensor.read());
  }
  return answers;
}
