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

/** Whose output an error map shows; both against the float32 answer of the file, or else float64. */
export type MapSource = 'device' | 'flashmla';

/** A case that ran. */
export interface CaseDetails {
  readonly name: string;
  readonly op: string;
  /** Sizes of the problem, in words. */
  readonly facts: readonly (readonly [label: string, value: string])[];
  readonly microseconds: number;
  readonly pass: boolean;
  readonly comparisons: readonly Comparison[];
  /** True: the file has no answers, so the float64 reference was asked. */
  readonly isReference: boolean;
  /** What an error map can show of. */
  readonly sources: readonly MapSource[];
  /** Requests of the batch (1 for a prefill), queries of each, heads, columns. */
  readonly requests: number;
  readonly queries: number;
  readonly heads: number;
  readonly columns: number;
  /** |error| below this, or below `relative` of the value, passes. */
  readonly tolerance: { readonly absolute: number; readonly relative: number };
}

export interface ErrorMapRequest {
  readonly source: MapSource;
  readonly request: number;
  readonly query: number;
}

/** (heads, columns) each. */
export interface ErrorMapData {
  readonly actual: Float32Array;
  readonly expected: Float32Array;
}

let last: { readonly details: CaseDetails; readonly values: Values } | undefined;

/** Outputs of the case that ran last, row-major over (request, query, head, column). */
type Values = Readonly<Record<MapSource | 'expected', Float64Array | undefined>>;

export async function runCaseTask(
  request: RunCaseRequest,
  { signal }: TaskContext<never>,
): Promise<CaseDetails> {
  const input = 'file' in request ? request.file : bundledCaseUrl(request.bundled as never);
  const name = 'file' in request ? request.file.name : `${request.bundled}.safetensors`;
  const loaded = await loadCase(input, name);
  const report = await runCase(device(), loaded, { signal, repeats: 3 });
  const isReference = loaded.answers.expected.out === undefined;
  const expected = isReference
    ? referenceAnswers(loaded.problem).out?.values
    : decode(loaded.answers.expected.out);
  const comparisons = isReference
    ? [...againstReference(loaded, report), ...report.comparisons]
    : report.comparisons;
  const flashmla = decode(loaded.answers.flashmla.out);
  const values: Values = { expected, device: decode(report.answers.out), flashmla };
  const details = describe(loaded, report, comparisons, isReference, values);
  last = { details, values };
  return details;
}

/** The map of one request's query. Throws where no case has run or the place is not in it. */
export async function errorMap({ source, request, query }: ErrorMapRequest): Promise<ErrorMapData> {
  const actual = last?.values[source];
  const expected = last?.values.expected;
  if (!last || !actual || !expected) throw new Error('Run a case first.');
  const { queries, heads, columns } = last.details;
  const begin = (request * queries + query) * heads * columns;
  const end = begin + heads * columns;
  return {
    actual: Float32Array.from(actual.subarray(begin, end)),
    expected: Float32Array.from(expected.subarray(begin, end)),
  };
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
  { name, problem }: Case,
  { answers, microseconds }: CaseReport,
  comparisons: readonly Comparison[],
  isReference: boolean,
  values: Values,
): CaseDetails {
  const shape = answers.out?.shape ?? [];
  const [heads, columns] = shape.slice(-2) as [number, number];
  const [requests, queries] =
    problem.op === 'sparse-prefill'
      ? [1, shape[0] as number]
      : [shape[0] as number, shape[1] as number];
  return {
    name,
    op: problem.op,
    facts: factsOf(problem),
    microseconds,
    pass: comparisons.every(({ pass }) => pass),
    comparisons,
    isReference,
    sources: values.flashmla ? ['device', 'flashmla'] : ['device'],
    requests,
    queries,
    heads,
    columns,
    tolerance: toleranceOf(problem.op, 'out', answers.out?.dtype ?? 'bf16'),
  };
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
