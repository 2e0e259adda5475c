/** The middle of the values. */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

/** Milliseconds of each of `count` runs. */
export async function timeRuns(run, count) {
  const times = [];
  for (let i = 0; i < count; i++) {
    const begin = performance.now();
    await run();
    times.push(performance.now() - begin);
  }
  return times;
}

/**
 * Milliseconds of the last five runs, once times have settled: after `seconds`, as soon as the median
 * of five runs is within 2 % of that of the five before, but at the latest after `limit`. Engines
 * compile hot code while they run, so the first runs say little.
 */
export async function settle(run, seconds, limit = 2 * seconds) {
  const begin = performance.now();
  const passed = () => (performance.now() - begin) / 1e3;
  const times = [];
  while (passed() < limit || times.length < 3) {
    times.push(...(await timeRuns(run, 1)));
    if (passed() < seconds || times.length < 10) continue;
    const [now, before] = [median(times.slice(-5)), median(times.slice(-10, -5))];
    if (Math.abs(now - before) < 0.02 * before) break;
  }
  return times.slice(-5);
}

/** ONNX Runtime's threads spin for some 50 ms after a call: lets them fall asleep. */
export function rest() {
  return new Promise((resolve) => setTimeout(resolve, 200));
}
