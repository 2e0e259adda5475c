import { describe, expect, it } from 'vitest';
import { fuzzSize } from './testing/fuzz-size.ts';
import { RandomRequests } from './testing/random-requests.ts';

// `npm run fuzz -w @flash-mla/engine` sends 10,000 requests in each mode.
const { requests, seed } = fuzzSize;

const modes = [
  { name: 'with overlap', options: { overlap: true } },
  { name: 'without overlap', options: { overlap: false } },
  { name: 'with overlap, deterministic', options: { overlap: true, deterministic: true } },
  { name: 'with overlap, without a prefix cache', options: { overlap: true, prefixCache: false } },
];

describe(`an engine under ${requests} random requests`, () => {
  it.each(modes)(
    'ends each once and returns all pages, $name',
    async ({ options }) => {
      const load = new RandomRequests(options, seed, { failure: 0.004, lateness: 0.01 });
      await load.run(requests);
      const { finished, preemptions, prefixCacheHits } = load.load.engine.stats;
      // Everything that can happen has happened.
      const counts = {
        ...finished,
        preemptions,
        prefixCacheHits,
        failed: load.load.runner.numFailed,
      };
      for (const [name, count] of Object.entries(counts)) {
        if (name === 'prefixCacheHits' && !(options.prefixCache ?? true)) continue;
        expect(count, name).toBeGreaterThan(0);
      }
      expect(load.numRefused).toBeGreaterThan(0);
    },
    3_600_000,
  );
});
