import { describe, expect, it } from 'vitest';
import { itAssembles } from '../../kernel-lib/cuda/testing/assembly.ts';
import { limitsFor } from '../../kernel-lib/cuda/testing/sim-context.ts';
import { chunkOf } from './logits-chunk.ts';
import { portableIndexRows } from './sm80_index_rows_launch.ts';
import { portableMqaLogits } from './sm80_mqa_logits_launch.ts';
import { partsOf, portableTopK, type TopKKernelProblem } from './sm80_top_k_launch.ts';
import { type HopperLogitsProblem, hopperMqaLogits } from './sm90_mqa_logits_launch.ts';

const h200 = limitsFor('h200');
const logits = { paged: true, cleanLogits: false, heads: 64, queries: 1 } as const;
const topK: TopKKernelProblem = {
  ...{ rows: 32, columns: 131_072, topK: 2048, hasStarts: false, mapped: false },
};

describe('the keys of the indexer', () => {
  it('hold no sizes that change from step to step', () => {
    const keyOf = (rows: number, columns: number) =>
      portableMqaLogits.keyOf({ ...logits, rows, columns });
    expect(keyOf(1, 4096)).toEqual(keyOf(32, 131_072));
    expect(portableTopK.keyOf({ ...topK, rows: 1 })).toEqual(portableTopK.keyOf(topK));
    expect(portableTopK.keyOf({ ...topK, columns: 9000 })).not.toEqual(portableTopK.keyOf(topK));
  });
});

describe('the work of a CTA', () => {
  it.each([
    [1, 131_072, 384],
    [32, 131_072, 10_944],
    [1, 100, 256],
  ])('%i rows of %i columns: %i columns', (rows, columns, chunk) => {
    const slots = 3 * h200.smCount;
    expect(chunkOf({ groups: rows, columns, slots, unit: 64, least: 256 })).toBe(chunk);
  });

  it('covers rows with parts that fill the GPU', () => {
    const { parts, partLength, bytes } = partsOf(topK, h200);
    expect([parts, partLength]).toEqual([4, 32_768]);
    expect(bytes).toBeLessThan(8 * 2 ** 20);
    expect(partsOf({ ...topK, rows: 4096 }, h200)).toMatchObject({ some: 512, parts: 1 });
  });
});

describe('the indexer as machine code', () => {
  const rows = { vectors: 64, x: 'bf16', weights: 'bf16', hadamard: true } as const;
  const rowsLaunch = (kind: 'queries' | 'keys', interleaved: boolean) => ({
    name: `${kind}${interleaved ? ' interleaved' : ''}`,
    launch: () => portableIndexRows.plan({ ...rows, kind, interleaved }).launches.main,
  });
  const logitsLaunch = (
    name: string,
    more: Partial<Parameters<typeof portableMqaLogits.plan>[0]>,
  ) => ({
    name,
    launch: () =>
      portableMqaLogits.plan({ ...logits, rows: 32, columns: 4096, ...more }, h200).launches.main,
  });
  const hopperLaunch = (name: string, more: Partial<HopperLogitsProblem>) => ({
    name,
    launch: (target: string) => {
      const problem: HopperLogitsProblem = {
        ...{
          heads: 64,
          cleanLogits: false,
          queries: 1 as const,
          requests: 32,
          queriesPerRequest: 1,
        },
        ...{ columns: 131_072, pageSize: 64, ...more },
      };
      return target === 'sm_90a' ? hopperMqaLogits.plan(problem, h200).launches.main : undefined;
    },
  });
  const topKLaunch = (role: 'histogram' | 'partition' | 'select', more = {}) => ({
    name: `${role} ${JSON.stringify(more)}`,
    launch: () => portableTopK.plan({ ...topK, ...more }, h200).launches[role],
  });
  itAssembles([
    rowsLaunch('queries', false),
    rowsLaunch('keys', true),
    logitsLaunch('paged logits', {}),
    logitsLaunch('ragged logits of 32 heads', { heads: 32, paged: false, queries: 4 }),
    logitsLaunch('logits of 5 heads', { heads: 5, cleanLogits: true }),
    hopperLaunch('logits of a query by warp groups', {}),
    hopperLaunch('logits of four queries', { queries: 4, queriesPerRequest: 64 }),
    hopperLaunch('logits of 12 heads', { heads: 12, cleanLogits: true }),
    topKLaunch('histogram'),
    topKLaunch('partition', { hasStarts: true }),
    topKLaunch('select'),
    topKLaunch('select', { mapped: true, columns: 8192 }),
  ]);
});
