import { openTuned } from './device.mjs';
import { denseProblem, sparseProblem } from './problems.mjs';
import { measure } from './timing.mjs';

const variants = [
  {},
  { rowsPerInvocation: 16 },
  { rowsPerInvocation: 16, workgroups: 528 },
  { rowsPerInvocation: 4 },
  { columns: { few: 8, many: 4 } },
  { columns: { few: 4, many: 8 } },
  { tokensPerQuad: { few: 4, many: 4 } },
  { tokensPerQuad: { few: 4, many: 1 } },
  { unroll: 1 },
  { unroll: 2 },
  { unrollWords: false },
  { mostRows: 8 },
  { mostRows: 8, tokensPerQuad: { few: 4, many: 4 } },
  { fewRows: 1 },
  { workgroups: 132 },
  { workgroups: 396 },
  { workgroups: 528 },
  { workgroups: 1024 },
  { workgroups: 2048 },
];

/** Every variant of the tuning, alone against the default, on the three problems. */
export async function sweep(size, repeats, line) {
  const results = [];
  for (const tuning of variants) {
    const times = {};
    try {
      const { device } = await openTuned(tuning);
      for (const [name, make] of [
        ['dense16', () => denseProblem(device, { ...size, hQ: 16 })],
        ['dense2', () => denseProblem(device, { ...size, hQ: 2 })],
        ['v32', () => sparseProblem(device, { ...size, hQ: 16, layout: 'v32' })],
      ]) {
        const problem = make();
        times[name] = await measure(device, problem.enqueue, Math.min(3, repeats));
        problem.dispose();
      }
      await device.dispose();
    } catch (error) {
      times.error = error instanceof Error ? error.message.split('\n')[0] : String(error);
    }
    results.push({ tuning, times });
    line(JSON.stringify(tuning), times);
  }
  return results;
}
