import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { attendedPairs, requestLengths } from '../../ops/bench/lengths.ts';
import type { BenchProblem, PreparedProblem } from '../../ops/bench/operation.ts';
import { distinct, permutation, uniform } from '../../ops/bench/random.ts';
import { benchOperations } from '../../ops/operation-tools.ts';
import type { Device } from '../../runtime/device/device.ts';
import { lastLevelCache } from '../machine.ts';
import { readBaseline } from './baseline.ts';
import { measure, median } from './measure.ts';
import { type BenchResult, type BenchRow, resultJson } from './result.ts';
import { rooflineSvg } from './roofline.ts';
import { rotation } from './rotation.ts';
import { describeProblem } from './table.ts';

const h200 = fileURLToPath(
  new URL('../../../../../bench/baselines/flashmla-h200.json', import.meta.url),
);
interface MeasuredRow {
  op: string;
  us: number;
  tflops: number;
  gbps?: number;
}
const measuredRows = (JSON.parse(readFileSync(h200, 'utf8')) as { rows: MeasuredRow[] }).rows;

async function gpuSuite(name: string): Promise<BenchProblem[]> {
  const operation = benchOperations[name];
  if (operation === undefined) throw new Error(name);
  return operation.suite('gpu').map((options) => operation.problem(options, 'gpu'));
}

describe("FlashMLA's own measurements", () => {
  it.each([
    ['dense-decode', 'dense_decode_bf16'],
    ['sparse-decode', 'sparse_decode_fp8'],
    ['sparse-prefill', 'sparse_prefill_bf16'],
  ])('every row of %s is in the suite, with its operations and bytes', async (name, op) => {
    const baseline = await readBaseline(h200);
    const problems = await gpuSuite(name);
    const rows = measuredRows.filter((row) => row.op === op);
    expect(problems).toHaveLength(rows.length);
    const times = problems.map(({ row }) => baseline.timeOf(row));
    expect(new Set(times)).toEqual(new Set(rows.map(({ us }) => us)));
    for (const { row, flops, bytes } of problems) {
      const us = baseline.timeOf(row) as number;
      const { tflops, gbps } = rows.find((candidate) => candidate.us === us) as MeasuredRow;
      // Random lengths of the extra indices are not the same ones.
      const digits = row.extra_len ? 0.2 : 0.002;
      expect(Math.abs(flops / us / 1e6 / tflops - 1), describeProblem(row)).toBeLessThan(digits);
      if (gbps === undefined) continue;
      expect(Math.abs(bytes / us / 1e3 / gbps - 1), describeProblem(row)).toBeLessThan(digits);
    }
  });
});

describe('readBaseline', () => {
  it('matches by problem and takes the usual sizes where a column is missing', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'baseline-'));
    const file = join(folder, 'rows.json');
    const rows = [
      { op: 'x', b: 1, us: 5, gbps: 3 },
      { op: 'x', b: 1, h_kv: 2, us: 7 },
      { op: 'x', b: 2, page_size: 32, us: 9 },
    ];
    writeFileSync(file, JSON.stringify({ rows }));
    const { timeOf } = await readBaseline(file);
    expect(timeOf({ op: 'x', b: 1, h_kv: 1, page_size: 64 })).toBe(5);
    expect(timeOf({ op: 'x', b: 1, h_kv: 2 })).toBe(7);
    expect(timeOf({ op: 'x', b: 2, page_size: 64 })).toBe(undefined);
    expect(timeOf({ op: 'x', b: 2, page_size: 32 })).toBe(9);
    expect(timeOf({ op: 'y', b: 1 })).toBe(undefined);
    rmSync(folder, { recursive: true });
  });

  it.each(['', '{', 'null', '[]', '{"rows":[{"op":"x"}]}', '{"rows":[null]}'])(
    'refuses %j',
    async (text) => {
      const folder = mkdtempSync(join(tmpdir(), 'baseline-'));
      const file = join(folder, 'rows.json');
      writeFileSync(file, text);
      await expect(readBaseline(file)).rejects.toMatchObject({ name: 'FileFormatError' });
      rmSync(folder, { recursive: true });
    },
  );
});

describe('problems', () => {
  it('spread lengths around the middle, all different ones in use', () => {
    expect(requestLengths(3, 100, false)).toEqual([100, 100, 100]);
    const lengths = requestLengths(128, 8192, true);
    expect(Math.min(...lengths)).toBe(1024);
    expect(Math.max(...lengths)).toBe(15360);
    expect(new Set(lengths).size).toBe(128);
    expect(requestLengths(1, 8, true)).toEqual([8]);
  });

  it('count the pairs that a causal mask leaves', () => {
    expect(attendedPairs(2, [5], false)).toBe(10);
    expect(attendedPairs(2, [5], true)).toBe(9);
    expect(attendedPairs(3, [1], true)).toBe(1);
  });

  it('draw numbers without repetition', () => {
    const next = uniform(1);
    for (const [count, range] of [
      [10, 10],
      [10, 1000],
      [300, 1000],
    ] as const) {
      const drawn = distinct(count, range, next);
      expect(new Set(drawn).size).toBe(count);
      expect(Math.max(...drawn)).toBeLessThan(range);
    }
    expect([...permutation(50, next)].sort((a, b) => a - b)).toEqual(
      Array.from({ length: 50 }, (_, i) => i),
    );
  });

  it('refuse what cannot be, whatever the device', async () => {
    const sparse = benchOperations['sparse-decode'];
    expect(() => sparse?.problem({ sK: 64, topk: 128 }, 'cpu')).toThrow(/--topk 128 is more than/);
    const attention = benchOperations['dense-attention'];
    expect(() => attention?.problem({ dtype: 'e4m3' }, 'gpu')).toThrow(/bf16 or f16/);
  });
});

/** A device whose every call takes as long as its clock says. */
function fakeDevice(options: { deviceTime?: number[]; backend?: 'cpu' | 'cuda' } = {}): Device {
  const { deviceTime, backend = 'cpu' } = options;
  const replayed = { count: 0 };
  return {
    info: { backend, memoryBytes: 80e9 },
    backend: {
      measurements: deviceTime && {
        deviceTime: async (enqueue: () => void) => {
          enqueue();
          return deviceTime.shift() ?? 1e-3;
        },
      },
    },
    capture: (enqueue: () => void) => {
      enqueue();
      return { replay: () => replayed.count++, dispose() {} };
    },
    synchronize: () => new Promise((resolve) => setTimeout(resolve, 1)),
    memoryStats: () => ({ allocated: 0, reserved: 0, peak: 0 }),
  } as unknown as Device;
}

describe('measure', () => {
  it('goes through the copies in turn and divides by the calls of a graph', async () => {
    const calls: number[] = [];
    const prepared: PreparedProblem = { enqueue: (copy) => void calls.push(copy), dispose() {} };
    const device = fakeDevice({ deviceTime: [4e-3, 1e-3, 2e-3, 3e-3, 5e-3] });
    const options = { copies: 2, calls: 4, settleSeconds: 0, samples: 5 };
    const { us, usMin, samples, clock } = await measure(device, prepared, options);
    expect(calls).toEqual([0, 1, 0, 1, 0, 1]);
    expect([us, usMin]).toEqual([expect.closeTo(750), expect.closeTo(250)]);
    expect({ samples, clock }).toEqual({ samples: 5, clock: 'device' });
  });

  it('takes wall time where the device has no clock, and stops when told', async () => {
    const prepared: PreparedProblem = { enqueue() {}, dispose() {} };
    const options = { copies: 1, calls: 1, settleSeconds: 0.01, samples: 7 };
    const { us, clock, samples } = await measure(fakeDevice(), prepared, options);
    // One wait of a millisecond, spread over the replays that fill a sample.
    expect(us).toBeGreaterThan(0);
    expect({ clock, samples }).toEqual({ clock: 'wall', samples: 7 });
    const signal = AbortSignal.abort();
    await expect(measure(fakeDevice(), prepared, { ...options, signal })).rejects.toThrow();
  });

  it('knows the middle', () => {
    expect([median([1, 2, 9]), median([1, 2, 4, 9])]).toEqual([2, 3]);
  });
});

describe('rotation', () => {
  const problem = { footprint: 20e6 } as BenchProblem;
  it('uses one set on a processor and up to 0.5 GB on a GPU', () => {
    expect(rotation(fakeDevice(), problem, 'auto', 8e6)).toMatchObject({ copies: 1, calls: 1 });
    const gpu = rotation(fakeDevice({ backend: 'cuda' }), problem, 'auto', 50e6);
    expect(gpu).toEqual({ copies: 25, calls: 25, cold: true });
    const large = { footprint: 3e9 } as BenchProblem;
    expect(rotation(fakeDevice({ backend: 'cuda' }), large, 'auto', 50e6)).toMatchObject({
      copies: 1,
      calls: 8,
    });
  });

  it('exceeds the cache when cold, and does not when warm', () => {
    expect(rotation(fakeDevice(), problem, 'cold', 100e6)).toEqual({
      copies: 10,
      calls: 10,
      cold: true,
    });
    expect(rotation(fakeDevice(), problem, 'warm', 100e6)).toMatchObject({
      copies: 1,
      cold: false,
    });
  });
});

describe('lastLevelCache', () => {
  it('reads the largest of the sizes that Linux lists', () => {
    expect(lastLevelCache('/no/such/folder')).toBe(undefined);
  });
});

describe('results', () => {
  const row: BenchRow = {
    row: {
      op: 'dense_decode_bf16',
      b: 4,
      s_q: 1,
      h_q: 128,
      s_k: 4096,
      varlen: true,
      causal: false,
    },
    us: 1000,
    usMin: 900,
    flops: 4e9,
    bytes: 2e7,
    cold: false,
    copies: 1,
    samples: 31,
    clock: 'wall',
    baselineUs: 500,
  };
  const result = {
    date: '2026-01-02T03:04:05.000Z',
    version: '0.1.0',
    device: { id: 'cpu', name: 'A & B <processor>', parallelism: 2 },
    machine: {},
    ceilings: { flopsPerSecond: 1e11, readBytesPerSecond: 2e10, copyBytesPerSecond: 1e10 },
    comparedWith: undefined,
    rows: [row, { ...row, flops: 0 }, { ...row, flops: 8e9, cold: true }],
  } as unknown as BenchResult;

  it('have the columns of the files that they are compared with', () => {
    const json = resultJson(result) as { rows: Record<string, unknown>[] };
    expect(json.rows[0]).toMatchObject({
      op: 'dense_decode_bf16',
      us: 1000,
      us_min: 900,
      tflops: 4,
      gbps: 20,
      baseline_us: 500,
      speedup: 0.5,
    });
    expect(describeProblem(row.row)).toBe('b=4 h_q=128 s_k=4096 varlen');
  });

  it('become a roofline: ceilings, a point and a legend for each row that computes', () => {
    const svg = rooflineSvg(result);
    expect(svg.match(/<circle /g)).toHaveLength(2);
    expect(svg.match(/class="point cold"/g)).toHaveLength(1);
    expect(svg).toContain('FMA rate 100 GFLOP/s');
    expect(svg).toContain('read 20.0 GB/s');
    expect(svg).toContain('A &amp; B &lt;processor>');
    expect(svg).not.toMatch(/NaN|Infinity|undefined/);
  });

  it('become one without ceilings and without points, too', () => {
    for (const rows of [[row], []]) {
      const svg = rooflineSvg({ ...result, ceilings: {}, rows });
      expect(svg).not.toMatch(/NaN|Infinity|undefined|class="roof"/);
    }
  });
});
