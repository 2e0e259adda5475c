import { decodeInto, type HostTensor } from '@flash-mla/core';
import type { AnswerName } from './problem.ts';
import type { Tolerance } from './tolerance.ts';

/** One element of an answer that is not as expected. */
export interface ElementError {
  /** Coordinates in the tensor. */
  readonly index: readonly number[];
  readonly expected: number;
  readonly actual: number;
  /** |actual − expected|; infinite where one is an infinity or NaN and the other is not the same. */
  readonly error: number;
}

/** How one answer compares with the one expected. */
export interface Comparison {
  readonly answer: string;
  /** What it was compared with: `reference`, `expected`, `flashmla`. */
  readonly against: string;
  readonly pass: boolean;
  readonly tolerance: Tolerance;
  readonly elements: number;
  /** Elements with a known expected value: all, or those of the rows that were sampled. */
  readonly compared: number;
  /** Elements outside the bounds. */
  readonly failed: number;
  /** Largest |actual − expected|. */
  readonly maxAbsolute: number;
  /** Largest relative distance of those beyond the absolute bound. */
  readonly maxRelative: number;
  /** 1 − 2Σab / Σ(a² + b²). */
  readonly cosine: number;
  /** The element that is furthest outside its bound, or nearest to it; null: nothing was compared. */
  readonly worst: ElementError | null;
  /** The first in memory order that is outside; null where none is. */
  readonly firstBad: ElementError | null;
}

/** Expected values: of every element, or of some rows (entries of the last dimension are a row). */
export interface Expected {
  readonly values: Float64Array;
  /** One flag per row of `rowLength` elements: 1 where `values` is known. Absent: everywhere. */
  readonly known?: Uint8Array;
  readonly rowLength?: number;
}

/** Expected values of each answer of a problem. */
export type ExpectedAnswers = Readonly<Partial<Record<AnswerName, Expected>>>;

/** Compares an answer with the one expected, element by element and as a whole. */
export function compare(
  answer: string,
  against: string,
  actual: HostTensor,
  expected: Expected,
  tolerance: Tolerance,
): Comparison {
  const { values, known, rowLength = 1 } = expected;
  const { shape } = actual;
  const sameSize = actual.data.length === values.length;
  const row = new Float64Array(rowLength);
  const rows = sameSize ? values.length / rowLength : 0;
  let [compared, failed, maxAbsolute, maxRelative] = [0, 0, 0, 0];
  let [worst, worstScore, worstActual, firstBad, firstActual] = [-1, -1, 0, -1, 0];
  let [products, squares] = [0, 0];
  for (let r = 0; r < rows; r++) {
    if (known !== undefined && known[r] === 0) continue;
    decodeInto(actual, r * rowLength, rowLength, row, 0);
    compared += rowLength;
    for (let c = 0; c < rowLength; c++) {
      const i = r * rowLength + c;
      const e = values[i] as number;
      const a = row[c] as number;
      const distance = distanceOf(a, e);
      // FlashMLA's relative distance: the small term keeps 0 from dividing.
      const relative = distance / (Math.abs(e) + 1e-6);
      const score = scoreOf(distance, relative, tolerance);
      if (distance > maxAbsolute) maxAbsolute = distance;
      if (relative > maxRelative && !(distance < tolerance.absolute)) maxRelative = relative;
      if (score > worstScore) [worst, worstScore, worstActual] = [i, score, a];
      if (score >= 1) {
        failed++;
        if (firstBad === -1) [firstBad, firstActual] = [i, a];
      }
      if (!Number.isFinite(a) || !Number.isFinite(e)) continue;
      products += a * e;
      squares += a * a + e * e;
    }
  }
  const cosine = squares === 0 ? 0 : 1 - (2 * products) / squares;
  const together = tolerance.cosine === undefined || Math.abs(cosine) < tolerance.cosine;
  const at = (i: number, value: number): ElementError | null => {
    if (i === -1) return null;
    const e = values[i] as number;
    return { index: unravel(i, shape), expected: e, actual: value, error: distanceOf(value, e) };
  };
  return {
    answer,
    against,
    pass: sameSize && failed === 0 && together,
    tolerance,
    elements: values.length,
    compared,
    failed,
    maxAbsolute,
    maxRelative,
    cosine,
    worst: at(worst, worstActual),
    firstBad: at(firstBad, firstActual),
  };
}

/** One line that says what is wrong and where, or how close it was. */
export function describeComparison(comparison: Comparison): string {
  const { answer, against, pass, tolerance, failed, compared, cosine } = comparison;
  if (pass) return `${answer} matches ${against}: off by at most ${number(comparison.maxAbsolute)}`;
  const parts: string[] = [];
  if (compared === 0)
    parts.push(`it has not the ${comparison.elements} elements of the expected one`);
  for (const [label, element] of [
    ['first', comparison.firstBad],
    ['worst', comparison.worst],
  ] as const) {
    if (failed === 0 || element === null) continue;
    const { index, expected, actual, error } = element;
    const place = `${answer}[${index.join(', ')}]`;
    parts.push(`${label} ${place} = ${actual}, expected ${expected}, off by ${number(error)}`);
  }
  if (failed > 0) {
    const bounds = `${number(tolerance.absolute)} or ${number(tolerance.relative)} relative`;
    parts.push(`${failed} of ${compared} elements are beyond ${bounds}`);
  }
  if (tolerance.cosine !== undefined && Math.abs(cosine) >= tolerance.cosine) {
    parts.push(`1 - cosine is ${number(cosine)}, the bound ${number(tolerance.cosine)}`);
  }
  return `${answer} differs from ${against}: ${parts.join('; ')}`;
}

/** 0 for equal values, two NaN and two equal infinities included. */
function distanceOf(actual: number, expected: number): number {
  if (Object.is(actual, expected) || actual === expected) return 0;
  const distance = Math.abs(actual - expected);
  return Number.isNaN(distance) ? Number.POSITIVE_INFINITY : distance;
}

/** Below 1: within one of the bounds. */
function scoreOf(distance: number, relative: number, tolerance: Tolerance): number {
  if (distance === 0) return 0;
  if (distance === Number.POSITIVE_INFINITY) return distance;
  return Math.min(distance / tolerance.absolute, relative / tolerance.relative);
}

function unravel(position: number, shape: readonly number[]): number[] {
  const index = shape.map(() => 0);
  let rest = position;
  for (let d = shape.length - 1; d >= 0; d--) {
    const extent = shape[d] ?? 1;
    index[d] = rest % extent;
    rest = Math.floor(rest / extent);
  }
  return index;
}

function number(value: number): string {
  return value === 0 || !Number.isFinite(value) ? `${value}` : value.toExponential(2);
}
