import { describe, expect, it } from 'vitest';
import { fuzzSize } from '../testing/fuzz-size.ts';
import { KvOperations } from '../testing/kv-operations.ts';

// `npm run fuzz -w @flash-mla/engine` runs a million operations.
const { kvOperations, seed } = fuzzSize;

describe('the KV cache', () => {
  it(`is the naive model over ${kvOperations} random operations`, () => {
    const operations = new KvOperations(seed);
    operations.run(kvOperations);
    const { opened, refused, hitTokens, evictions } = operations.counts;
    // What the operations are for has happened, and often.
    expect(opened).toBeGreaterThan(kvOperations / 50);
    expect(refused).toBeGreaterThan(kvOperations / 100);
    expect(hitTokens).toBeGreaterThan(opened);
    expect(evictions).toBeGreaterThan(kvOperations / 100);
  }, 600_000);
});
