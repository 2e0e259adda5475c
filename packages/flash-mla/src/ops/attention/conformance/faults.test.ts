import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Device, openDevice } from '../../../index.ts';
import { faultyDevice, shortened } from '../../conformance/testing/faulty-backend.ts';
import { resultsOf } from '../../conformance/testing/results.ts';
import type { AttentionFault } from './testing/fault.ts';

let device: Device;
beforeAll(async () => {
  device = await openDevice('cpu');
});
afterAll(() => device.dispose());

describe('a backend with one fault fails', () => {
  it.each<[what: string, filter: string, fault: AttentionFault]>([
    ['ignores causal', 'dense-decode causal', { denseDecode: (a) => ({ ...a, causal: false }) }],
    ['always causal', 'dense-decode sQ=2', { denseDecode: (a) => ({ ...a, causal: true }) }],
    [
      'scales logits by 1 % too much',
      'dense-decode',
      { denseDecode: (a) => ({ ...a, softmaxScale: a.softmaxScale * 1.01 }) },
    ],
    [
      'ignores descales',
      'dense-decode descales',
      { denseDecode: ({ descaleQ: _, descaleK: __, ...a }) => a },
    ],
    [
      'does not see the last block of the table',
      'dense-decode page=1',
      { denseDecode: (a) => ({ ...a, blockTable: shortened(shortened(a.blockTable, 1), 1) }) },
    ],
    [
      'leaves the last request out',
      'dense-decode b=2',
      {
        denseDecode: (a) => ({
          ...a,
          q: shortened(a.q, 0),
          blockTable: shortened(a.blockTable, 0),
          seqlens: shortened(a.seqlens, 0),
          out: shortened(a.out, 0),
          lse: shortened(a.lse, 0),
        }),
      },
    ],
    [
      'ignores the top-k length',
      'sparse-decode lengths',
      { sparseDecode: (a) => ({ ...a, main: { ...a.main, topkLength: undefined } as never }) },
    ],
    ['ignores the extra cache', 'sparse-decode extra', { sparseDecode: ({ extra: _, ...a }) => a }],
    ['ignores the sink', 'sparse-decode sink', { sparseDecode: ({ attnSink: _, ...a }) => a }],
    [
      'leaves the last index out',
      'sparse-decode',
      {
        sparseDecode: (a) => ({ ...a, main: { ...a.main, indices: shortened(a.main.indices, 2) } }),
      },
    ],
    [
      'scales sparse logits by 1 % too much',
      'sparse-decode',
      { sparseDecode: (a) => ({ ...a, softmaxScale: a.softmaxScale * 1.01 }) },
    ],
    [
      'attends to a cache without its last block',
      'sparse-decode',
      { sparseDecode: (a) => ({ ...a, main: { ...a.main, kCache: shortened(a.main.kCache, 0) } }) },
    ],
    ['ignores the sink', 'prefill sink', { sparsePrefill: ({ attnSink: _, ...a }) => a }],
    ['ignores lengths', 'prefill lengths', { sparsePrefill: ({ topkLength: _, ...a }) => a }],
    [
      'leaves the last index out',
      'prefill',
      { sparsePrefill: (a) => ({ ...a, indices: shortened(a.indices, 2) }) },
    ],
    ['ignores causal', 'attention causal', { denseAttention: (a) => ({ ...a, causal: false }) }],
    ['always causal', 'attention', { denseAttention: (a) => ({ ...a, causal: true }) }],
    [
      'plans for other overheads than it says',
      'schedule dense',
      {
        computeSchedule: (a) => ({
          ...a,
          plan: { ...a.plan, overheadBlocks: a.plan.overheadBlocks + 1 },
        }),
      },
    ],
  ])('that %s (%s)', async (_, filter, fault) => {
    const list = await resultsOf(faultyDevice(device, fault), { filter, maxCost: 200 });
    expect(list.length).toBeGreaterThan(0);
    expect(list.filter(({ status }) => status === 'failed')).not.toEqual([]);
  });
});
