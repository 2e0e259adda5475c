// The same paged decode on every engine, in turn, so that all see the same machine.
import { makeData } from './data.mjs';
import { openFastest } from './ort.mjs';
import { openOurs } from './ours.mjs';
import { median, rest, settle, timeRuns } from './timing.mjs';

/** FlashMLA's own bounds, which every engine's answer is held to against ours. */
const bounds = { absolute: 8e-4, relative: 2.01 / 128 };

/** Times all engines at one size. Rejects where an engine's answer differs from ours. */
export async function compareEngines(hQ, { threads, rounds, log }) {
  const data = makeData({ b: 4, hQ, sK: 4096, dQk: 576, dV: 512 });
  const engines = {};
  log(`hQ=${hQ}: opening engines and finding the peers' fastest graphs`);
  engines.web = await openFastest('onnxruntime-web', data, threads);
  engines.node = await openFastest('onnxruntime-node', data, threads);
  engines.ours = await openOurs(data, { threads });
  engines.oneThread = await openOurs(data, { threads: 1 });
  engines.wasm = await openOurs(data, { threads, native: false });
  engines.noRelaxed = await openOurs(data, { threads, native: false, relaxedSimd: false });
  for (const name of ['ours', 'oneThread', 'wasm', 'noRelaxed'])
    await settle(engines[name].run, 0.5);
  await crossCheck(engines);

  const times = Object.fromEntries(Object.keys(engines).map((name) => [name, []]));
  const { measurements } = engines.ours.device.backend;
  const ceilings = [];
  for (let round = 0; round < rounds; round++) {
    log(`hQ=${hQ}: round ${round + 1} of ${rounds}`);
    for (const [name, engine] of Object.entries(engines)) {
      await rest();
      // The first run after a rest wakes the threads.
      await engine.run();
      times[name].push(median(await timeRuns(() => engine.run(), 5)));
    }
    await rest();
    ceilings.push(await measurements.ceilings());
  }
  // A ceiling is the best that was ever seen.
  const best = ceilings.reduce((a, b) => (a.flopsPerSecond >= b.flopsPerSecond ? a : b));
  const result = summarise(data, engines, times, best);
  for (const engine of Object.values(engines)) await engine.close();
  return result;
}

async function crossCheck(engines) {
  await engines.ours.run();
  const expected = await engines.ours.result();
  for (const [name, engine] of Object.entries(engines)) {
    await engine.run();
    const actual = await engine.result();
    if (actual.length !== expected.length) throw new Error(`${name}: an output of another size`);
    expected.forEach((value, i) => {
      const distance = Math.abs(actual[i] - value);
      if (distance < bounds.absolute || distance < bounds.relative * Math.abs(value)) return;
      throw new Error(`${name}: out[${i}] is ${actual[i]}, ours is ${value}`);
    });
  }
}

function summarise(data, engines, times, ceilings) {
  const gflops = (name) => data.flops / median(times[name]) / 1e6;
  const bestGflops = (name) => data.flops / Math.min(...times[name]) / 1e6;
  const ofEngines = (figure) =>
    Object.fromEntries(Object.keys(engines).map((name) => [name, figure(name)]));
  // Of times in the same round, so that the machine's moods cancel.
  const speedup = (name, over) => median(times[name].map((ms, i) => times[over][i] / ms));
  const fma = ceilings.flopsPerSecond / 1e9;
  return {
    sizes: data.sizes,
    fmaGflops: fma,
    fmaOf: ceilings.flopsOf,
    gflops: ofEngines(gflops),
    bestGflops: ofEngines(bestGflops),
    milliseconds: ofEngines((name) => median(times[name])),
    kernels: engines.ours.device.info.details.kernels,
    shareOfFma: gflops('wasm') / fma,
    twoThreadsOverOne: speedup('ours', 'oneThread'),
    overWasm: speedup('ours', 'wasm'),
    overWeb: speedup('ours', 'web'),
    wasmOverWeb: speedup('wasm', 'web'),
    overNode: speedup('ours', 'node'),
    noRelaxedOverWeb: speedup('noRelaxed', 'web'),
    web: { fastest: engines.web.label, tried: engines.web.tried },
    node: { fastest: engines.node.label, tried: engines.node.tried },
  };
}
