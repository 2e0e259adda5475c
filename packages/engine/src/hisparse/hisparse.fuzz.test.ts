import { describe, expect, it } from 'vitest';
import { fuzzSize } from '../testing/fuzz-size.ts';
import { RandomRequests } from '../testing/random-requests.ts';
import { SimulatedHiSparse } from '../testing/simulated-hisparse.ts';

// `npm run fuzz -w @flash-mla/engine` sends 10,000 requests in each mode.
const { seed } = fuzzSize;
const requests = Math.max(200, fuzzSize.requests);

/** Hot buffers of 4 pages for 12 rows, and prompts of up to 39: the device never has enough. */
const hisparse = { topK: 8, deviceBufferSize: 24, hostToDeviceRatio: 1.6, swapInBlockSize: 512 };

const modes = [
  { name: 'with overlap', options: { overlap: true } },
  { name: 'without overlap', options: { overlap: false } },
  { name: 'with overlap, deterministic', options: { overlap: true, deterministic: true } },
  { name: 'with overlap, without a prefix cache', options: { overlap: true, prefixCache: false } },
];

describe(`HiSparse under ${requests} random requests`, () => {
  it.each(modes)(
    'reads no row but the right one and returns all pages, $name',
    async ({ options }) => {
      const faults = { failure: 0.004, lateness: 0.01 };
      const load = new RandomRequests({ totalPages: 40, hisparse, ...options }, seed, faults);
      const { engine, runner } = load.load;
      if (!(runner instanceof SimulatedHiSparse)) throw new Error('HiSparse is off');
      runner.copyFailure = 0.03;
      await load.run(requests);

      const stats = engine.stats;
      expect(stats.hisparse?.device.usedTokens).toBe(0);
      expect(stats.hisparse?.host.usedTokens).toBe(0);
      const { hits, misses } = stats.hisparse ?? {};
      // Everything that can happen has happened.
      const counts = { ...stats.finished, ...runner.counts, hits, misses };
      for (const [name, count] of Object.entries(counts)) {
        if (name === 'loads' && !(options.prefixCache ?? true)) continue;
        expect(count, name).toBeGreaterThan(0);
      }
      expect(stats.preemptions).toBeGreaterThan(0);
    },
    3_600_000,
  );
});
