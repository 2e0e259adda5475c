// Every tuning alone against the one that is chosen for the device. A variant whose answers differ from
// the chosen tuning's by more than rounding counts as wrong, however fast.
import { openTuned } from './device.mjs';
import { attentionProblem, denseProblem, prefillProblem, sparseProblem } from './problems.mjs';
import { measure } from './timing.mjs';

const variants = [
  {},
  { rowsPerInvocation: 16 },
  { rowsPerInvocation: 16, workgroups: 132 },
  { rowsPerInvocation: 16, workgroups: 528 },
  { rowsPerInvocation: 16, unroll: 2 },
  { rowsPerInvocation: 8 },
  { rowsPerInvocation: 8, workgroups: 132 },
  { rowsPerInvocation: 8, workgroups: 528 },
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

/** Milliseconds of each problem with each variant. `chosen` is the device's own tuning. */
export async function sweep(size, repeats, line) {
  const problems = {
    dense16: (device) => denseProblem(device, { ...size, hQ: 16 }),
    dense2: (device) => denseProblem(device, { ...size, hQ: 2 }),
    v32: (device) => sparseProblem(device, { ...size, hQ: 16, layout: 'v32' }),
    prefill: (device) => prefillProblem(device, { ...size, sQ: 8 * size.b }),
    attention: (device) => attentionProblem(device, { b: 4, s: Math.ceil(size.sK / 4) }),
  };
  const results = [];
  const answers = {};
  let chosen;
  for (const tuning of variants) {
    const times = {};
    const wrong = [];
    try {
      const { device, capabilities } = await openTuned(tuning);
      chosen ??= capabilities.tuning;
      for (const [name, make] of Object.entries(problems)) {
        const problem = make(device);
        times[name] = await measure(device, problem.enqueue, repeats);
        const answer = toFloats(await problem.out.read());
        answers[name] ??= answer;
        if (!isClose(answer, answers[name])) wrong.push(name);
        problem.dispose();
      }
      await device.dispose();
    } catch (error) {
      times.error = error instanceof Error ? error.message.split('\n')[0] : String(error);
    }
    results.push({ tuning, times, wrong });
    line(JSON.stringify(tuning), wrong.length > 0 ? { ...times, wrong: wrong.join() } : times);
  }
  return { chosen, results };
}

function toFloats(bf16) {
  return new Float32Array(Uint32Array.from(bf16, (code) => code << 16).buffer);
}

/** Whether two roundings to bf16 of sums in another order could be these: 2⁻⁷ of the largest value. */
function isClose(values, expected) {
  const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return largest > 0 && values.every((value, i) => Math.abs(value - expected[i]) <= largest / 128);
}
