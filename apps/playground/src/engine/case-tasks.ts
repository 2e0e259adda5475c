import {
  answerNames,
  bundledCaseUrl,
  type Case,
  type CaseReport,
  type Comparison,
  compare,
  loadCase,
  referenceAnswers,
  runCase,
  toleranceOf,
} from 'flash-mla/cases';
import { decodeAll, type HostTensor } from 'flash-mla/reference';
import { device, type TaskContext } from './session.ts';

/** A file that the user gave, or one that the library brings. */
export type RunCaseRequest = { readonly file: File } | { readonly bundled: string };

/** Whose output an error map shows. */
export type MapSource = 'device' | 'flashmla';

/** What it is held against: the file's float32 answer, rounded, or float64, which is not. */
export type MapAgainst = 'expected' | 'reference';

/** A case that ran. */
export interface CaseDetails {
  readonly name: string;
  readonly op: string;
  /** Sizes of the problem, in words. */
  readonly facts: readonly (readonly [label: string, value: string])[];
  readonly microseconds: number;
  readonly pass: boolean;
  readonly comparisons: readonly Comparison[];
  /** What an error map can show. */
  readonly sources: readonly MapSource[];
  readonly against: readonly MapAgainst[];
  /** The map to begin with: where this device's largest error is. */
  readonly initial: ErrorMapRequest;
  /** Requests of the batch (1 for a prefill), queries of each, heads, columns. */
  readonly requests: number;
  readonly queries: number;
  readonly heads: number;
  readonly columns: number;
  /** |error| below `absolute`, or below `relative` of the value, passes. */
  readonly tolerance: { readonly absolute: number; readonly relative: number };
}

export interface ErrorMapRequest {
  readonly source: MapSource;
  readonly against: MapAgainst;
  readonly request: number;
  readonly query: number;
}

/** (heads, columns) each. */
export interface ErrorMapData {
  readonly actual: Float32Array;
  readonly expected: Float32Array;
}

/** Outputs of a case that ran, row-major over (request, query, head, column). */
type Outputs = { [Name in MapSource | MapAgainst]?: Float64Array | undefined };

let last:
  | { readonly ran: Case; readonly details: CaseDetails; readonly outputs: Outputs }
  | undefined;

/** Operations that the float64 reference does in about half a second. */
const quickReference = 1e9;

export async function runCaseTask(
  request: RunCaseRequest,
  { signal }: TaskContext<never>,
): Promise<CaseDetails> {
  const input = 'file' in request ? request.file : bundledCaseUrl(request.bundled as never);
  const name = 'file' in request ? request.file.name : `${request.bundled}.safetensors`;
  const ran = await loadCase(input, name);
  const report = await runCase(device(), ran, { signal, repeats: 3 });
  const { expected, flashmla } = ran.answers;
  const outputs: Outputs = {
    device: decode(report.answers.out),
    flashmla: decode(flashmla.out),
    expected: decode(expected.out),
  };
  const comparisons = expected.out
    ? report.comparisons
    : [...againstReference(ran, report), ...report.comparisons];
  const details = describe(ran, report, comparisons, outputs);
  last = { ran, details, outputs };
  return details;
}

/** The map of one request's query. Throws where no case has run. */
export async function errorMap(request: ErrorMapRequest): Promise<ErrorMapData> {
  if (last === undefined) throw new Error('Run a case first.');
  const { ran, details, outputs } = last;
  const actual = outputs[request.source];
  const expected = expectedOf(ran, outputs, request.against);
  if (actual === undefined) throw new Error(`The case has no output of ${request.source}.`);
  const { queries, heads, columns } = details;
  const begin = (request.request * queries + request.query) * heads * columns;
  const end = begin + heads * columns;
  return {
    actual: Float32Array.from(actual.subarray(begin, end)),
    expected: Float32Array.from(expected.subarray(begin, end)),
  };
}

function expectedOf(ran: Case, outputs: Outputs, against: MapAgainst): Float64Array {
  if (against === 'reference') outputs.reference ??= referenceAnswers(ran.problem).out?.values;
  const values = outputs[against];
  if (values === undefined) throw new Error(`The case has no answer of ${against}.`);
  return values;
}

function decode(tensor: HostTensor | undefined): Float64Array | undefined {
  return tensor && decodeAll(tensor);
}

function againstReference({ problem }: Case, { answers }: CaseReport): Comparison[] {
  const expected = referenceAnswers(problem);
  return answerNames.flatMap((name) => {
    const [actual, values] = [answers[name], expected[name]];
    if (!actual || !values) return [];
    const tolerance = toleranceOf(problem.op, name, actual.dtype);
    return [compare(name, 'float64 reference', actual, values, tolerance)];
  });
}

function describe(
  ran: Case,
  { answers, microseconds }: CaseReport,
  comparisons: readonly Comparison[],
  outputs: Outputs,
): CaseDetails {
  const { name, problem } = ran;
  const shape = answers.out?.shape ?? [];
  const [heads, columns] = shape.slice(-2) as [number, number];
  const [requests, queries] =
    problem.op === 'sparse-prefill'
      ? [1, shape[0] as number]
      : [shape[0] as number, shape[1] as number];
  const isQuick = referenceFlops(problem) < quickReference;
  const against: MapAgainst = isQuick || !outputs.expected ? 'reference' : 'expected';
  const row = Math.floor(worstElement(outputs.device, expectedOf(ran, outputs, against)) / columns);
  const query = Math.floor(row / heads);
  return {
    name,
    op: problem.op,
    facts: factsOf(problem),
    microseconds,
    pass: comparisons.every(({ pass }) => pass),
    comparisons,
    sources: outputs.flashmla ? ['device', 'flashmla'] : ['device'],
    against: outputs.expected ? ['reference', 'expected'] : ['reference'],
    initial: {
      source: 'device',
      against,
      request: Math.floor(query / queries),
      query: query % queries,
    },
    requests,
    queries,
    heads,
    columns,
    tolerance: toleranceOf(problem.op, 'out', answers.out?.dtype ?? 'bf16'),
  };
}

function worstElement(actual: Float64Array | undefined, expected: Float64Array): number {
  let [worst, at] = [0, 0];
  actual?.forEach((value, i) => {
    const error = Math.abs(value - (expected[i] as number));
    // NaN is never above anything, and nothing is worse.
    if (error > worst || (Number.isNaN(error) && !Object.is(value, expected[i]))) {
      [worst, at] = [Number.isNaN(error) ? Number.POSITIVE_INFINITY : error, i];
    }
  });
  return at;
}

/** An upper bound: every index counts. */
function referenceFlops(problem: Case['problem']): number {
  const columns = 2 * (problem.q.shape.at(-1) as number);
  const rows = problem.q.shape.slice(0, -1).reduce((product, n) => product * n, 1);
  if (problem.op !== 'dense-decode') {
    const extra = 'extra' in problem ? (problem.extra?.indices.shape.at(-1) ?? 0) : 0;
    return 2 * rows * columns * ((problem.indices.shape.at(-1) as number) + extra);
  }
  const requests = problem.cacheSeqlens.data.length;
  const tokens = problem.cacheSeqlens.data.reduce((sum, n) => sum + n, 0);
  return 2 * (rows / requests) * columns * tokens;
}

function factsOf(problem: Case['problem']): [string, string][] {
  const shape = (tensor: HostTensor) => `${tensor.dtype} (${tensor.shape.join(', ')})`;
  if (problem.op === 'sparse-prefill') {
    return [
      ['q', shape(problem.q)],
      ['kv', shape(problem.kv)],
      ['indices', shape(problem.indices)],
      ['sink', problem.attnSink ? 'yes' : 'no'],
    ];
  }
  const facts: [string, string][] = [
    ['q', shape(problem.q)],
    ['k_cache', shape(problem.kCache)],
  ];
  if (problem.op === 'dense-decode') {
    facts.push(['cache_seqlens', [...problem.cacheSeqlens.data].join(', ')]);
    facts.push(['causal', problem.causal ? 'yes' : 'no']);
    return facts;
  }
  facts.push(['layout', problem.layout], ['indices', shape(problem.indices)]);
  if (problem.extra) facts.push(['extra cache', shape(problem.extra.kCache)]);
  facts.push(['sink', problem.attnSink ? 'yes' : 'no']);
  return facts;
}
