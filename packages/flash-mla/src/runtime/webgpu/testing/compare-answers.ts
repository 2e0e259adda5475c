import {
  type Answers,
  answerNames,
  type CaseParams,
  compare,
  describeComparison,
  generateProblem,
  referenceAnswers,
  toleranceOf,
} from '../../../ops/cases.ts';

/** What is wrong with the answers to a generated problem. */
export function compareAnswers(
  params: Exclude<CaseParams, { op: 'schedule' }>,
  answers: Answers,
  seed = 'webgpu',
): string[] {
  const problem = generateProblem(seed, params);
  const expected = referenceAnswers(problem);
  const wrong: string[] = [];
  let compared = 0;
  for (const name of answerNames) {
    const actual = answers[name];
    const values = expected[name];
    if (!actual || !values) continue;
    compared++;
    const tolerance = toleranceOf(problem.op, name, actual.dtype);
    const comparison = compare(name, 'reference', actual, values, tolerance);
    if (!comparison.pass) wrong.push(describeComparison(comparison));
  }
  if (compared === 0) wrong.push('nothing was compared');
  return wrong;
}
