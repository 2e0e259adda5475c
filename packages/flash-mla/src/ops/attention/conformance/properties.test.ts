import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Device, openDevice } from '../../../index.ts';
import {
  type PropertyOptions,
  type PropertyResult,
  runProperties,
} from '../../conformance/property/run-properties.ts';
import { type Fault, faultyDevice, shortened } from '../../conformance/testing/faulty-backend.ts';
import type { DenseDecodeArgs } from '../contract.ts';
import { denseDecode } from '../operations.ts';
import type { AttentionFault } from './testing/fault.ts';

let device: Device;
// A device for each test: a fault may lose it.
beforeEach(async () => {
  device = await openDevice('cpu', { threads: 2 });
});
afterEach(() => device.dispose());

async function results(on: Device, options: PropertyOptions): Promise<PropertyResult[]> {
  const list: PropertyResult[] = [];
  for await (const result of runProperties(on, options)) list.push(result);
  return list;
}

/** What the first problem that fails says, of `count` at most; empty where none does. */
async function firstFailure(on: Device, filter: string, count = 40): Promise<string> {
  const options = { count, seed: '4', filter, shrinks: false };
  for await (const result of runProperties(on, options)) {
    if (result.status === 'failed') return result.message;
  }
  return '';
}

/** What failed problems say. */
function messages(list: readonly PropertyResult[]): string[] {
  return list
    .filter(({ status }) => status === 'failed')
    .map((r) => `${r.seed} ${r.name}: ${r.message}`);
}

it('drawn problems pass on the processor', async () => {
  const list = await results(device, { count: 80, seed: '1', maxCost: 60, shrinks: false });
  expect(messages(list)).toEqual([]);
  expect(list).toHaveLength(80);
});

describe('a backend with one fault fails', () => {
  it.each<[what: string, filter: string, fault: AttentionFault]>([
    ['ignores causal', 'dense-decode causal', { denseDecode: (a) => ({ ...a, causal: false }) }],
    [
      'scales logits by 1 % too much',
      'dense-decode logits=normal',
      { denseDecode: (a) => ({ ...a, softmaxScale: a.softmaxScale * 1.01 }) },
    ],
    [
      'ignores descales',
      'dense-decode e4m3',
      { denseDecode: ({ descaleQ: _, descaleK: __, ...a }) => a },
    ],
    [
      'sees one block less',
      'dense-decode table=good',
      { denseDecode: (a) => ({ ...a, blockTable: shortened(a.blockTable, 1) }) },
    ],
    [
      'takes queries for contiguous',
      'dense-decode placed',
      { denseDecode: (a) => ({ ...a, q: { ...a.q, strides: contiguous(a.q.shape) } }) },
    ],
    [
      'leaves the last head out',
      'sparse-decode',
      {
        sparseDecode: (a) =>
          ({
            ...a,
            q: shortened(a.q, 2),
            out: shortened(a.out, 2),
            lse: shortened(a.lse, 1),
            attnSink: a.attnSink && shortened(a.attnSink, 0),
          }) as typeof a,
      },
    ],
    [
      'ignores the top-k length',
      'sparse-decode topklength=ragged',
      { sparseDecode: (a) => ({ ...a, main: { ...a.main, topkLength: undefined } as never }) },
    ],
    [
      'ignores the extra cache',
      'sparse-decode extra ',
      { sparseDecode: ({ extra: _, ...a }) => a },
    ],
    [
      'ignores the sink',
      'sink=finite sparse-',
      {
        sparseDecode: ({ attnSink: _, ...a }) => a,
        sparsePrefill: ({ attnSink: _, ...a }) => a,
      },
    ],
    [
      'sees one index less',
      'prefill',
      { sparsePrefill: (a) => ({ ...a, indices: shortened(a.indices, 2) }) },
    ],
    ['ignores causal', 'attention causal', { denseAttention: (a) => ({ ...a, causal: false }) }],
    ['takes keys for values', 'varlen dqk=64 dv=64', { denseAttention: (a) => ({ ...a, v: a.k }) }],
  ])('%s: %s', async (_, filter, fault) => {
    expect(await firstFailure(faultyDevice(device, fault), filter)).not.toBe('');
  });

  it('writes next to its output', async () => {
    const fault: AttentionFault = {
      sparsePrefill: (a) => {
        // One element behind the last one of lse, which nobody looks at but the watch.
        const end = a.lse.byteOffset + 4 * a.lse.shape.reduce((n, m) => n * m, 1);
        if (end < a.lse.buffer.byteLength)
          device.backend.write(a.lse.buffer, end, new Uint8Array(4));
        return a;
      },
    };
    const filter = 'prefill placed outputs=given mode=once';
    const message = await firstFailure(faultyDevice(device, fault), filter);
    expect(message).toMatch(/memory around lse was written to/);
  });

  it('writes to its input', async () => {
    const fault: AttentionFault = {
      denseAttention: (a) => {
        device.backend.write(a.q.buffer, a.q.byteOffset, new Uint8Array(2));
        return a;
      },
    };
    const message = await firstFailure(
      faultyDevice(device, fault),
      'varlen placed mode=once offsets=sound',
    );
    expect(message).toMatch(/the input q was written to/);
  });

  it('leaves what an earlier call wrote where it is', async () => {
    const wrapped = faultyDevice(device, {});
    const { backend } = wrapped;
    const written = new WeakSet<object>();
    const lazy = new Proxy(backend, {
      get(target, name) {
        if (name !== 'run') return Reflect.get(target, name);
        return (operation: { readonly name: string }, args: DenseDecodeArgs) => {
          const isDecode = operation.name === denseDecode.name;
          if (isDecode && written.has(args.out.buffer)) return;
          target.run(operation as typeof denseDecode, args);
          if (isDecode) written.add(args.out.buffer);
        };
      },
    });
    const faulty = Object.defineProperty(wrapped, 'backend', { value: lazy });
    const filter = 'dense-decode mode=again outputs=given';
    expect(await firstFailure(faulty, filter)).toMatch(/step 0/);
  });
});

describe('a failure', () => {
  const causalOnly: AttentionFault = {
    denseDecode: (a) => ({ ...a, causal: a.causal && a.seqlens.shape[0] === 1 }),
  };

  it('is shrunk to a small problem, which its seed runs again', async () => {
    const faulty = faultyDevice(device, causalOnly);
    const filter = 'dense-decode causal table=good b=4';
    const list = await results(faulty, { count: 6, seed: '4', filter });
    const found = list.find(({ smallest }) => smallest !== undefined)?.smallest;
    // What the fault needs: two requests, two queries of different sight, and nothing else.
    expect(found?.name).toMatch(
      /mode=once .* b=2 sQ=2 hKv=1 group=1 dQk=16 dV=16 .* causal logits=normal/,
    );
    const [again] = await results(faulty, { count: 1, seed: found?.seed ?? '' });
    expect(again).toMatchObject({ status: 'failed', name: found?.name });
    const [right] = await results(device, { count: 1, seed: found?.seed ?? '' });
    expect(right).toMatchObject({ status: 'passed', name: found?.name });
  });

  it('of a call that throws is one like any other', async () => {
    const fault: Fault = {
      quantizeKvCache: () => {
        throw new Error('kernel is on strike');
      },
    };
    const [first, second] = await results(faultyDevice(device, fault), {
      count: 2,
      seed: '4',
      filter: 'rows=codes',
      shrinks: false,
    });
    expect(first?.message).toBe('Error: kernel is on strike');
    expect(second).toBeDefined();
  });
});

it('tells its progress and stops at the signal', async () => {
  const controller = new AbortController();
  const seen: string[] = [];
  const run = results(device, {
    count: 50,
    seed: '9:20',
    filter: 'quantize',
    signal: controller.signal,
    onProgress: ({ done, total, name }) => {
      seen.push(`${done}/${total}`);
      expect(name).toMatch(/^9:\d+$/);
      if (done === 2) controller.abort(new Error('enough'));
    },
  });
  await expect(run).rejects.toThrow('enough');
  expect(seen).toEqual(['0/50', '1/50', '2/50']);
});

function contiguous(shape: readonly number[]): number[] {
  return shape.map((_, d) => shape.slice(d + 1).reduce((product, n) => product * n, 1));
}
