// Compares random instructions and random programs of jumps with GNU as, where that is installed:
// `node scripts/differential.mjs [instructions] [programs] [seed]`. Build first (`npm run build`).
import { randomCases, randomProgram } from '../dist/golden/index.js';
import { assembleWithGas, gasVersion } from './gas.mjs';

const [instructions = 20_000, programs = 500, seed = Date.now() % 2 ** 31] = process.argv
  .slice(2)
  .map(Number);
const version = gasVersion();
if (version === undefined) {
  console.error('GNU as is not installed; nothing was compared.');
  process.exit(1);
}
let differing = 0;
const report = (what, ours, theirs) => {
  if (ours === theirs) return;
  if (differing++ < 50) console.error(`${what}: ${ours}, GNU as: ${theirs}`);
};

const cases = randomCases(instructions, seed);
const answers = assembleWithGas(cases.map(({ text }) => text));
for (const [i, { text, bytes }] of cases.entries()) report(text, bytes, answers[i]);

const hex = (bytes) => Buffer.from(bytes).toString('hex');
for (let i = 0; i < programs; i++) {
  const { bytes, lines } = randomProgram(seed + i);
  const text = lines.map(({ kind, text }) => (kind === 'label' ? `${text}:` : text));
  report(`program ${seed + i}`, hex(bytes), assembleWithGas(text).join(''));
}
console.log(
  `${instructions} instructions and ${programs} programs (seed ${seed}): ${differing} differ from ${version}.`,
);
process.exitCode = differing === 0 ? 0 : 1;
