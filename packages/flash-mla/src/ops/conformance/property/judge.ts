import type { HostTensor } from '@flash-mla/core';
import { type Comparison, compare, type Expected, type ExpectedAnswers } from '../compare.ts';
import { type AnswerName, type Answers, answerNames, type Problem } from '../problem.ts';
import type { ProblemKind } from '../problem-kind.ts';
import type { Exclusion } from '../suite/exclusion.ts';
import { insanity } from '../suite/sanity.ts';
import { type Divisible, type DivisibleKind, isDivisible } from '../suite/sub-problem.ts';
import type { Tolerance } from '../tolerance.ts';

/**
 * How float32 errs on a logit, in units of 2⁻²⁴ of Σ|q·k|·scale: products of 8-bit significands are
 * exact, so what errs is the order of a sum of up to 576 of them, its scaling and the exponential's
 * argument.
 */
const logitError = 16 * 2 ** -24;

/**
 * Holds answers to the reference, within the bounds of the conformance suite for the operation. Where
 * those do not fit what was drawn, and only there, they are others:
 *
 * - `out` is proportional to the values, so its absolute bound is: `valueSize` times the suite's.
 * - A logit is a sum whose terms may cancel. Its error in float32 is relative to the sum of their
 *   absolute values, so lse and max_logits may be off by that much where they come near 0.
 * - The bound of the whole is not looked at where all of it is below the bound of an element.
 * - Where that error is no longer small beside 1, float32 does not determine the weights of several keys:
 *   rows that one key does not decide are then not compared, but must be finite and means of values.
 */
export function judgeOf(
  kind: ProblemKind,
  problem: Problem,
  valueSize: number,
  exclusions: readonly Exclusion[],
): Judge {
  const expected = kind.reference(problem);
  const rows = isDivisible(kind) ? conditionOf(kind, problem as Divisible, expected) : undefined;
  return (answers) => {
    const comparisons: Comparison[] = [];
    const problems: string[] = [];
    for (const name of answerNames) {
      const [actual, values] = [answers[name], expected[name]];
      if (!actual || !values) {
        if (actual || values)
          problems.push(`${name} is ${actual ? 'more than was' : 'missing, but'} expected`);
        continue;
      }
      const excluded = exclusions.find(({ tolerances }) => tolerances?.[name])?.tolerances?.[name];
      const tolerance =
        (excluded && overFewKeys(name, excluded)) ?? kind.toleranceOf(name, actual.dtype);
      comparisons.push(
        ...(rows
          ? compareRows(name, actual, values, scaled(name, tolerance, valueSize), rows)
          : [compare(name, 'reference', actual, values, tolerance)]),
      );
    }
    const wrong = rows && insanity(rows.kind.division, rows.problem, answers, valueSize);
    if (wrong) problems.push(wrong);
    return { comparisons, problems };
  };
}

/** Says what is wrong with answers; knows what they should be. */
export type Judge = (answers: Answers) => { comparisons: Comparison[]; problems: string[] };

/**
 * The bounds of rows that are rounded to bf16 are made for means over a thousand keys. Over a few, each
 * value's 2⁻⁹ of itself stays in the output, and values are up to 0.9 here. The lse of one key is its
 * logit: what rounding adds to 576 terms does not average out over keys, and of 100,000 such logits the
 * worst are 4 standard deviations off, about 3e-3.
 */
function overFewKeys(name: AnswerName, tolerance: Tolerance): Tolerance {
  const factor = name === 'out' ? 3 : 2;
  return { ...tolerance, absolute: tolerance.absolute * factor };
}

function scaled(name: AnswerName, tolerance: Tolerance, valueSize: number): Tolerance {
  return name === 'out' ? { ...tolerance, absolute: tolerance.absolute * valueSize } : tolerance;
}

/** What float32 can know of each row, by its place in lse. */
interface Condition {
  readonly kind: DivisibleKind;
  readonly problem: Divisible;
  /** A bound of the error of its logits. */
  readonly errors: Float64Array;
  /** Whether one key, or keys that are the same, has all the weight. */
  readonly isDecided: Uint8Array;
}

/** Rows whose logits err by more than this have weights that err by as much as the bounds allow. */
const largestError = 2 ** -9;

/** Compares rows of like condition with each other's bounds. */
function compareRows(
  name: AnswerName,
  actual: HostTensor,
  expected: Expected,
  tolerance: Tolerance,
  { kind, problem, errors, isDecided }: Condition,
): Comparison[] {
  const rowLength = expected.rowLength ?? 1;
  const groups = new Map<number, Uint8Array>();
  const count = expected.values.length / rowLength;
  for (let row = 0; row < count; row++) {
    const place = name === 'out' ? kind.division.lsePlace(problem, row) : row;
    const error = errors[place] as number;
    if (name === 'out' && error > largestError && isDecided[place] === 0) continue;
    // Below 1e-6, the suite's absolute bound, all rows are alike.
    const group = name === 'out' ? 0 : Math.max(-20, Math.ceil(Math.log2(error)));
    const known = groups.get(group) ?? new Uint8Array(count);
    known[row] = 1;
    groups.set(group, known);
  }
  return [...groups].map(([group, known]) => {
    const rows = { ...expected, known, rowLength };
    if (name === 'out') return compare(name, 'reference', actual, rows, ofSize(rows, tolerance));
    const absolute = Math.max(tolerance.absolute, 2 ** group);
    return compare(name, 'reference', actual, rows, { ...tolerance, absolute });
  });
}

/** Fewer elements than this do not average what rounding does to each of them. */
const manyElements = 1024;

/**
 * The bound of the whole is relative to its size. It says nothing where all of it is smaller than what
 * an element may be off by, as a sink far above all logits leaves it. It is made for the mean of many
 * elements. One element is off by 2⁻⁸ of itself where P is rounded and by as much where the output is, so
 * that a few may all be off by 2⁻⁷: half of its square is 3e-5, 6 times the suite's bound.
 */
function ofSize(expected: Expected, { cosine, ...each }: Tolerance): Tolerance {
  const { values, known, rowLength = 1 } = expected;
  let [squares, count] = [0, 0];
  values.forEach((value, i) => {
    if (known?.[Math.floor(i / rowLength)] !== 1) return;
    count++;
    squares += value * value;
  });
  const isSmall = squares < count * each.absolute ** 2;
  if (cosine === undefined || isSmall) return each;
  return { ...each, cosine: count < manyElements ? 6 * cosine : cosine };
}

/**
 * Other runs of the reference tell: with all absolute values, lse bounds the largest Σ|q·k|·scale. With
 * the scale doubled, 2·lse − lse′ is −log Σ weights², 0 where one key has all the weight. Where logits err by more
 * than 1, a key must lead by more than that: it must have all the weight of logits divided by their error.
 */
function conditionOf(
  kind: DivisibleKind,
  problem: Divisible,
  expected: ExpectedAnswers,
): Condition {
  const { division } = kind;
  const plain = expected.lse?.values ?? new Float64Array(0);
  const sums = kind.reference(division.unsigned(problem)).lse?.values ?? plain;
  const errors = sums.map((sum) => (Number.isFinite(sum) ? Math.abs(sum) * logitError : 0));
  if (errors.every((error) => error <= largestError)) {
    return { kind, problem, errors, isDecided: new Uint8Array(plain.length) };
  }
  const largest = errors.reduce((a, b) => Math.max(a, b), 0);
  const factor = 2 ** -Math.ceil(Math.max(0, Math.log2(largest)));
  const lseOf = (scale: number) =>
    kind.reference(division.scaled(problem, scale)).lse?.values ?? plain;
  const [single, doubled] = [factor === 1 ? plain : lseOf(factor), lseOf(2 * factor)];
  const isDecided = Uint8Array.from(single, (lse, i) => {
    const spread = Math.abs(2 * lse - (doubled[i] as number));
    // No keys at all decide as well: out is 0.
    return !Number.isFinite(lse) || spread < (factor < 1 ? 1e-12 : 1e-3) ? 1 : 0;
  });
  return { kind, problem, errors, isDecided };
}
