import type { Device } from '../../../runtime/device/device.ts';
import { packedRows } from '../../../runtime/tensor/packed-rows.ts';
import type { Tensor } from '../../../runtime/tensor/tensor.ts';
import { defineBench } from '../../bench/define-bench.ts';
import { emptyCache } from '../../bench/empty-cache.ts';
import type { BenchProblem, ProblemOptions, Scale } from '../../bench/operation.ts';
import { distinct, fillNormal, uniform } from '../../bench/random.ts';
import { Resources } from '../../bench/resources.ts';
import { UsageError } from '../../bench/usage-error.ts';
import { quantizeKvCache } from '../../kv-cache/index.ts';
import { flashMlaWithKvCache, getMlaMetadata } from '../index.ts';
import { sparseDecode as sparseDecodeOperation } from '../operations.ts';

type Layout = 'v32' | 'model1' | 'bf16';

export interface SparseDecodeProblem extends BenchProblem {
  readonly layout: Layout;
  readonly b: number;
  readonly sQ: number;
  readonly hQ: number;
  /** Tokens of a request in either cache. */
  readonly sKv: number;
  readonly topk: number;
  readonly extraTopk: number;
  /** Entries of the extra indices that count, for each request; null: all. */
  readonly extraLengths: readonly number[] | null;
  readonly dQk: number;
  readonly dV: number;
  readonly pageSize: number;
  readonly extraPageSize: number;
}

const rowBytes = (layout: Layout, dQk: number) =>
  layout === 'bf16' ? 2 * dQk : packedRows[layout].rowBytes;

const defaults = (scale: Scale) =>
  ({
    ...(scale === 'cpu' ? { b: 4, sK: 8192 } : { b: 128, sK: 32768 }),
    ...{ sQ: 1, hQ: 128, topk: 2048, extraTopk: 0, kvLayout: 'v32', dQk: 576 },
    ...{ pageSize: 64, extraPageSize: 64 },
  }) satisfies ProblemOptions;

export const sparseDecode = defineBench<SparseDecodeProblem>({
  name: 'sparse-decode',
  summary: 'flashMlaWithKvCache over the tokens that indices name',
  accepts: [
    'b',
    'sQ',
    'hQ',
    'sK',
    'dQk',
    'topk',
    'extraTopk',
    'extraLen',
    'kvLayout',
    'pageSize',
    'extraPageSize',
  ],

  defaults,
  derived:
    '--kv-layout model1 has --d-qk 512 --page-size 256 and is the layout of --d-qk 512, --extra-len has --extra-page-size 2, --s-k is at least --topk and --extra-topk',

  problem(options: ProblemOptions, scale: Scale): SparseDecodeProblem {
    const { sK: usual, extraLen = false, ...sizes } = { ...defaults(scale), ...options };
    const { b, sQ, hQ, topk, extraTopk } = sizes;
    const { sK: sKv = Math.max(usual, topk, extraTopk) } = options;
    const { kvLayout: layout = options.dQk === 512 ? 'model1' : sizes.kvLayout } = options;
    const dQk = options.dQk ?? (layout === 'model1' ? 512 : sizes.dQk);
    const dV = 512;
    if (layout !== 'bf16' && packedRows[layout].headDimQk !== dQk) {
      throw new UsageError(
        `--kv-layout ${layout} has ${packedRows[layout].headDimQk} columns, not --d-qk ${dQk}.`,
      );
    }
    if (dQk !== 576 && dQk !== 512) throw new UsageError('--d-qk of a sparse cache is 576 or 512.');
    if (topk > sKv) throw new UsageError(`--topk ${topk} is more than the ${sKv} tokens of --s-k.`);
    if (extraTopk > sKv) {
      throw new UsageError(`--extra-topk ${extraTopk} is more than the ${sKv} tokens of --s-k.`);
    }
    if (extraLen && extraTopk === 0) throw new UsageError('--extra-len needs --extra-topk.');
    const { pageSize = layout === 'model1' ? 256 : sizes.pageSize } = options;
    const { extraPageSize = extraLen ? 2 : sizes.extraPageSize } = options;
    const next = uniform(2);
    const extraLengths = extraLen
      ? Array.from({ length: b }, () => Math.floor(next() * (extraTopk + 1)))
      : null;
    const extra = extraLengths?.reduce((sum, n) => sum + n, 0) ?? b * extraTopk;
    const tokens = sQ * (b * topk + extra);
    const rows = b * Math.ceil(sKv / pageSize) * pageSize;
    const extraRows = extraTopk > 0 ? b * Math.ceil(sKv / extraPageSize) * extraPageSize : 0;
    const queries = b * sQ * hQ * (dQk + dV) * 2;
    return {
      row: {
        op: layout === 'bf16' ? 'sparse_decode_bf16' : 'sparse_decode_fp8',
        b,
        s_q: sQ,
        h_q: hQ,
        s_kv: sKv,
        topk,
        extra_topk: extraTopk,
        extra_len: extraLen,
        d_qk: dQk,
        page_size: pageSize,
        ...(extraTopk > 0 && { extra_page_size: extraPageSize }),
      },
      flops: 2 * hQ * tokens * (dQk + dV),
      bytes: queries + tokens * rowBytes(layout, dQk),
      footprint: queries + (rows + extraRows) * rowBytes(layout, dQk) + tokens * 4,
      layout,
      b,
      sQ,
      hQ,
      sKv,
      topk,
      extraTopk,
      extraLengths,
      dQk,
      dV,
      pageSize,
      extraPageSize,
    };
  },

  suite(scale) {
    if (scale === 'cpu') {
      const base = { b: 4, hQ: 128, sK: 8192, topk: 2048 };
      return [
        { ...base, kvLayout: 'v32' },
        { ...base, kvLayout: 'bf16' },
        { ...base, hQ: 64, kvLayout: 'v32' },
        { ...base, sQ: 2, topk: 128, extraTopk: 512, kvLayout: 'model1' },
      ];
    }
    const model1 = { b: 128, sQ: 2, sK: 16384, topk: 128, kvLayout: 'model1' } as const;
    const wide = { b: 148, sQ: 2, sK: 32768, topk: 16384 };
    return [
      { b: 1 },
      ...[2, 64, 128].map((b) => ({ b, sQ: 2 })),
      { b: 128, hQ: 64 },
      { ...model1, hQ: 64, extraTopk: 512 },
      { ...model1, extraTopk: 1024 },
      { ...model1, extraTopk: 1024, extraLen: true },
      wide,
      { ...wide, kvLayout: 'model1' },
      { ...wide, hQ: 64 },
    ];
  },

  async prepare(device: Device, problem: SparseDecodeProblem, copies: number) {
    const { b, sQ, hQ, dQk, dV, topk, extraTopk, layout } = problem;
    const next = uniform(3);
    const own = new Resources();
    try {
      const extraTopkLength = problem.extraLengths
        ? own.add(device.tensor(problem.extraLengths, [b], 'i32'))
        : null;
      const batch = own.add(device.tensor(new Int32Array(b), [b], 'i32'));
      const [schedMeta, numSplits] = getMlaMetadata(
        batch,
        sQ * hQ,
        1,
        hQ,
        layout !== 'bf16',
        topk,
        { headDimQk: dQk, headDimV: dV, extraTopk, extraTopkLength },
      );
      own.add(schedMeta);
      const sets: Parameters<typeof flashMlaWithKvCache>[0][] = [];
      for (let copy = 0; copy < copies; copy++) {
        const q = own.add(device.empty([b, sQ, hQ, dQk], 'bf16'));
        fillNormal(q, next);
        const extra =
          extraTopk === 0
            ? {}
            : {
                extraKCache: makeCache(device, problem, problem.extraPageSize, own, next),
                extraIndicesInKvCache: makeIndices(device, problem, 'extra', own, next),
                extraTopkLength,
              };
        sets.push({
          q,
          kCache: makeCache(device, problem, problem.pageSize, own, next),
          indices: makeIndices(device, problem, 'main', own, next),
          ...extra,
          headDimV: dV,
          schedMeta,
          numSplits,
          out: own.add(device.empty([b, sQ, hQ, dV], 'bf16')),
          lse: own.add(device.empty([b, hQ, sQ], 'f32')),
        } as Parameters<typeof flashMlaWithKvCache>[0]);
        await device.synchronize();
      }
      return {
        enqueue: (copy: number) => {
          const set = sets[copy];
          if (set !== undefined) flashMlaWithKvCache(set);
        },
        dispose: () => own.dispose(),
      };
    } catch (error) {
      own.dispose();
      throw error;
    }
  },

  inspects: ['cuda', 'webgpu'],
  machineCode: ['rows', 'unpack', 'attend'],
  operation: sparseDecodeOperation,

  call(device: Device, problem: SparseDecodeProblem): void {
    const { layout, b, sQ, hQ, sKv, topk, extraTopk, extraLengths, dQk, dV, ...pages } = problem;
    const cache = (page: number) =>
      emptyCache(device, layout, b * Math.ceil(sKv / page), page, dQk);
    const indices = (width: number) => device.empty([b, sQ, width], 'i32');
    const [schedMeta] = getMlaMetadata();
    flashMlaWithKvCache({
      q: device.empty([b, sQ, hQ, dQk], 'bf16'),
      kCache: cache(pages.pageSize) as Tensor<'u8'>,
      indices: indices(topk),
      ...(extraTopk > 0 && {
        extraKCache: cache(pages.extraPageSize) as Tensor<'u8'>,
        extraIndicesInKvCache: indices(extraTopk),
        ...(extraLengths && { extraTopkLength: device.empty([b], 'i32') }),
      }),
      headDimV: dV,
      schedMeta,
    });
  },
});

/** A cache in which request i owns every b-th block, so that neighbours are not neighbours in memory. */
function makeCache(
  device: Device,
  { layout, b, sKv, dQk }: SparseDecodeProblem,
  pageSize: number,
  own: Resources,
  next: () => number,
): Tensor {
  const blocks = b * Math.ceil(sKv / pageSize);
  const rows = device.empty([blocks, pageSize, 1, dQk], 'bf16');
  fillNormal(rows, next);
  if (layout === 'bf16') return own.add(rows);
  try {
    return own.add(quantizeKvCache({ kCache: rows, layout }));
  } finally {
    rows.dispose();
  }
}

function makeIndices(
  device: Device,
  { b, sQ, sKv, topk, extraTopk, pageSize, extraPageSize }: SparseDecodeProblem,
  which: 'main' | 'extra',
  own: Resources,
  next: () => number,
): Tensor<'i32'> {
  const page = which === 'main' ? pageSize : extraPageSize;
  const width = which === 'main' ? topk : extraTopk;
  const indices = new Int32Array(b * sQ * width);
  for (let row = 0; row < b * sQ; row++) {
    const request = Math.floor(row / sQ);
    const tokens = distinct(width, sKv, next);
    for (let i = 0; i < width; i++) {
      const token = tokens[i] as number;
      const block = Math.floor(token / page) * b + request;
      indices[row * width + i] = block * page + (token % page);
    }
  }
  return own.add(device.tensor(indices, [b, sQ, width], 'i32'));
}
