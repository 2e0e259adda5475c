import { hostTensor } from '@flash-mla/core';
import type { DeviceInfo } from '../../../runtime/device/backend.ts';
import type { Device } from '../../../runtime/device/device.ts';
import type { Tensor } from '../../../runtime/tensor/tensor.ts';
import { type Comparison, compare, type Expected } from '../compare.ts';
import type { Tolerance } from '../tolerance.ts';
import { Uploads } from '../upload.ts';
import { caseName } from './case-name.ts';
import type { ConformanceCase } from './conformance-case.ts';
import type { Execution } from './execute.ts';
import { Random } from './random.ts';

/** What an answer must be, and how near. */
export interface ExpectedAnswer extends Expected {
  readonly tolerance: Tolerance;
}

/** Parameters of a case: words and numbers, which make up its name. */
export interface OperationParams {
  readonly op: string;
  /** Record the call, then replay it. */
  readonly graph?: boolean;
}

/** The conformance cases of one operation; everything that the suite has to know about it. */
export interface CaseDefinition<P extends OperationParams, Problem> {
  /** A spread over every feature, small enough for a simulated GPU. */
  readonly quick: readonly P[];
  /** The rest of the full suite. */
  readonly full?: readonly P[];
  /** Floating-point operations of a case, about. */
  cost(params: P): number;
  /** The inputs, on the host. */
  problem(params: P, random: Random): Problem;
  /** What the float64 reference says, by the name of the result. */
  expected(problem: Problem, params: P): Readonly<Record<string, ExpectedAnswer>>;
  /**
   * Uploads the inputs. The function that it returns enqueues the public call; what it returns is read
   * and compared. Results that the caller provides should be full of poison before.
   */
  upload(uploads: Uploads, problem: Problem, params: P): () => Readonly<Record<string, Tensor>>;
  /** Kinds of devices that have no kernel for a case, with the reason. */
  excluded?(params: P): Readonly<Partial<Record<DeviceInfo['backend'], string>>>;
}

/** The cases of an operation for the conformance suite. */
export function defineCases<P extends OperationParams, Problem>(
  definition: CaseDefinition<P, Problem>,
): readonly ConformanceCase[] {
  const { quick, full = [] } = definition;
  return [
    ...quick.map((params) => toCase(definition, params, true)),
    ...full.map((params) => toCase(definition, params, false)),
  ];
}

function toCase<P extends OperationParams, Problem>(
  definition: CaseDefinition<P, Problem>,
  params: P,
  quick: boolean,
): ConformanceCase {
  const name = caseName(params);
  const excluded = definition.excluded?.(params);
  return {
    ...{ name, op: params.op, quick, cost: Math.ceil(definition.cost(params) / 1e6) },
    ...(excluded && { excluded }),
    execute: (device) => execute(device, definition, name, params),
  };
}

async function execute<P extends OperationParams, Problem>(
  device: Device,
  definition: CaseDefinition<P, Problem>,
  name: string,
  params: P,
): Promise<Execution> {
  const problem = definition.problem(params, new Random(name));
  const uploads = new Uploads(device);
  try {
    const run = definition.upload(uploads, problem, params);
    await device.synchronize();
    const begin = performance.now();
    const results = params.graph ? replay(device, uploads, run) : run();
    for (const tensor of Object.values(results)) uploads.own(tensor);
    await device.synchronize();
    const microseconds = (performance.now() - begin) * 1e3;
    const comparisons: Comparison[] = [];
    for (const [answer, expected] of Object.entries(definition.expected(problem, params))) {
      const tensor = results[answer];
      if (tensor === undefined) throw new Error(`${name}: the call gives no ${answer}`);
      const actual = hostTensor(tensor.dtype, tensor.shape, await tensor.read());
      comparisons.push(compare(answer, 'reference', actual, expected, expected.tolerance));
    }
    return { comparisons, microseconds, problems: [] };
  } finally {
    uploads.dispose();
  }
}

/** Enqueues a recorded call. */
function replay(
  device: Device,
  uploads: Uploads,
  run: () => Readonly<Record<string, Tensor>>,
): Readonly<Record<string, Tensor>> {
  let results: Readonly<Record<string, Tensor>> = {};
  const graph = uploads.own(
    device.capture(() => {
      results = run();
    }),
  );
  graph.replay();
  return results;
}
