/**
 * Instructions with operands for every entry of the table, whose bytes were checked against GNU as, and
 * random ones to check more. `scripts/golden.mjs` writes the files; the tests only read them.
 * @module
 */
export {
  type EncodingCase,
  type GroupName,
  goldenCases,
  groupNames,
  randomCases,
} from './cases.ts';
export { goldenFile, goldenFileName, parseGoldenFile } from './file.ts';
export { randomProgram } from './programs.ts';
