// Remakes the golden bytes of every table entry, where GNU as is installed: the text of each case goes
// to it, its bytes go into the files. Build first (`npm run build`).
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { goldenCases, goldenFile, goldenFileName, groupNames } from '../dist/golden/index.js';
import { assembleWithGas, gasVersion } from './gas.mjs';

const version = gasVersion();
if (version === undefined) {
  console.error('GNU as is not installed; the golden bytes stay as they are.');
  process.exit(1);
}
let differing = 0;
for (const group of groupNames) {
  const cases = goldenCases(group);
  const answers = assembleWithGas(cases.map(({ text }) => text));
  const right = cases.map(({ text }, i) => ({ text, bytes: answers[i] }));
  for (const [i, { text, bytes }] of cases.entries()) {
    if (bytes === answers[i]) continue;
    differing++;
    console.error(`${text}: ${bytes}, GNU as: ${answers[i]}`);
  }
  const path = fileURLToPath(new URL(`../src/golden/${goldenFileName(group)}`, import.meta.url));
  writeFileSync(path, goldenFile(version, right));
  console.log(`${group}: ${cases.length} cases, ${readFileSync(path).length} bytes`);
}
console.log(`${differing} cases differ from ${version}.`);
process.exitCode = differing === 0 ? 0 : 1;
