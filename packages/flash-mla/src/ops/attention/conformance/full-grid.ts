import type {
  CacheParams,
  CacheShape,
  DenseParams,
  PrefillParams,
  SparseParams,
  VarlenParams,
} from './params.ts';

/** The grids of FlashMLA's own tests, and the same for what it has no tests for. */

const flags = [false, true] as const;
const headPairs = [1, 3, 9, 63, 64, 126, 128].flatMap((hQ) =>
  [1, 2, 3, 8].filter((hKv) => hQ % hKv === 0).map((hKv) => ({ hQ, hKv })),
);

function* densePlain(): Generator<DenseParams> {
  for (const b of [1, 2, 6, 64]) {
    for (const sQ of [1, 2, 4]) {
      for (const sK of [20, 140, 4096]) {
        for (const heads of headPairs) {
          for (const varlen of flags) {
            for (const causal of flags) {
              yield { op: 'dense-decode', b, sQ, sK, ...heads, varlen, causal };
            }
          }
        }
      }
    }
  }
  for (const heads of headPairs) {
    for (const causal of flags) {
      const lengths = { varlen: true, zeroLengths: 'some' } as const;
      yield { op: 'dense-decode', b: 128, sQ: 2, sK: 4096, ...heads, ...lengths, causal };
    }
  }
}

/** The other dtypes, page sizes and row widths on a part of the grid. */
function* denseVariety(): Generator<DenseParams> {
  const base = { op: 'dense-decode', sQ: 2, varlen: true, causal: true } as const;
  const dtypes = [
    { dtype: 'f16' },
    { dtype: 'e4m3' },
    { dtype: 'e4m3', descales: true },
    { sharpness: 'peaky' },
    { page: 16 },
    { page: 69 },
    { dQk: 288, dV: 256 },
    { dQk: 320, dV: 192 },
    { gap: 16 },
    { metadata: 'tensors' },
    { invariant: true },
    { graph: true },
  ] as const;
  for (const variant of dtypes) {
    for (const b of [2, 64]) {
      for (const sK of [140, 4096]) {
        for (const heads of headPairs) {
          if (!('sharpness' in variant) || sK > 1000)
            yield { ...base, b, sK, ...heads, ...variant };
        }
      }
    }
  }
}

const sparseCaches: readonly CacheShape[] = [
  { sK: 512, topk: 64, page: 2 },
  { sK: 512, topk: 64, page: 64 },
  { sK: 512, topk: 64, page: 69 },
  { sK: 1024, topk: 576, page: 61 },
  { sK: 2046, topk: 2048, page: 64 },
  { sK: 2046, topk: 2048, page: 576 },
];

/** The row formats of each width: packed and bf16 rows take turns, so that both meet every shape. */
const layoutsOf = {
  576: ['v32', 'bf16'],
  512: ['model1', 'bf16'],
} as const;

function* sparsePlain(): Generator<SparseParams> {
  let turn = 0;
  for (const dQk of [576, 512] as const) {
    for (const hQ of [8, 16, 64, 128]) {
      for (const main of sparseCaches) {
        for (const extra of [undefined, ...sparseCaches]) {
          for (const lengths of flags) {
            for (const extraLengths of extra ? flags : [false]) {
              for (const b of [4, 74]) {
                for (const sQ of [1, 3]) {
                  const layout = layoutsOf[dQk][turn % 3 === 2 ? 1 : 0];
                  const sink = [undefined, 'infinite', 'finite'] as const;
                  yield {
                    op: 'sparse-decode',
                    layout,
                    ...(layout === 'bf16' && { dQk }),
                    ...{ b, sQ, hQ, varlen: b !== 74 || turn % 2 === 0 },
                    cache: { ...main, lengths },
                    ...(extra && { extra: { ...extra, lengths: extraLengths } }),
                    sink: sink[Math.floor(turn / 2) % 3],
                  };
                  turn++;
                }
              }
            }
          }
        }
      }
    }
  }
}

function* sparseCorners(): Generator<SparseParams> {
  const caches = [
    { sK: 512, topk: 64, page: 61 },
    { sK: 650, topk: 576, page: 53 },
  ];
  for (const layout of ['v32', 'model1', 'bf16'] as const) {
    for (const hQ of [8, 16, 64, 128]) {
      for (const cache of caches) {
        for (const extra of [undefined, ...caches]) {
          for (const b of [4, 74]) {
            for (const invalid of [undefined, 'rows', 'all'] as const) {
              for (const zeroLengths of [undefined, 'some', 'all'] as const) {
                for (const sink of [undefined, 'infinite'] as const) {
                  if (!invalid && !zeroLengths && !sink) continue;
                  const shape = { layout, b, sQ: 3, hQ, varlen: true, cache, extra };
                  yield { op: 'sparse-decode', ...shape, invalid, zeroLengths, sink };
                }
              }
            }
          }
        }
      }
    }
  }
}

function* sparseVariety(): Generator<SparseParams> {
  const variants = [
    { sharpness: 'peaky' },
    { repeated: true },
    { gap: 16 },
    { gap: 1 },
    { metadata: 'tensors' },
    { invariant: true },
    { graph: true },
  ] as const;
  for (const layout of ['v32', 'model1', 'bf16'] as const) {
    for (const hQ of [16, 64, 128]) {
      for (const topk of [128, 1024]) {
        for (const variant of variants) {
          const cache = { sK: 1500, topk, page: 64, lengths: !('sharpness' in variant) };
          yield { op: 'sparse-decode', layout, b: 8, sQ: 2, hQ, cache, ...variant };
        }
      }
    }
  }
  for (const hQ of [16, 64, 128]) {
    const cache = { sK: 1500, topk: 1024, page: 64 };
    yield { op: 'sparse-decode', layout: 'v32', b: 8, sQ: 2, hQ, cache, floatScales: true };
  }
}

export function* prefillGrid(): Generator<PrefillParams> {
  const regular = [128, 256, 512].map((n) => ({ sKv: n, topk: n }));
  const irregular = [
    { sKv: 592, topk: 128 },
    { sKv: 1840, topk: 256 },
    { sKv: 1592, topk: 384 },
    { sKv: 1521, topk: 512 },
    { sKv: 95, topk: 128 },
    { sKv: 153, topk: 256 },
    { sKv: 114, topk: 384 },
  ];
  for (const dQk of [576, 512] as const) {
    for (const hQ of [8, 16, 64, 128]) {
      const base = { op: 'sparse-prefill', dQk, hQ } as const;
      for (const shape of [...regular, ...irregular]) {
        for (const sQ of [1, 62, 213]) yield { ...base, ...shape, sQ };
      }
      for (const shape of irregular) {
        for (const lengths of flags) {
          for (const sink of [undefined, 'infinite'] as const) {
            if (lengths || sink) yield { ...base, ...shape, sQ: 62, lengths, sink };
          }
        }
        yield { ...base, ...shape, sQ: 13, hKv: 4, lengths: true };
        if (shape.sKv > 1000) yield { ...base, ...shape, sQ: 62, sharpness: 'peaky' };
      }
      for (const [sQ, sKv, topk] of [
        [1, 128, 128],
        [1, 256, 256],
        [1234, 4321, 4096],
      ] as const) {
        const corner = { sQ, sKv, topk, lengths: true, sink: 'infinite' } as const;
        yield { ...base, ...corner, invalid: 'all' };
        yield { ...base, ...corner, invalid: 'rows' };
      }
      for (const [sKv, topk] of [
        [32, 2048],
        [64, 8192],
      ] as const) {
        for (const sQ of [1, 1024]) {
          yield { ...base, sQ, sKv, topk, lengths: true, sink: 'infinite' };
        }
      }
    }
  }
}

export function* attentionGrid(): Generator<VarlenParams | CacheParams> {
  const widths = [
    { dQk: 64, dV: 64 },
    { dQk: 96, dV: 96 },
    { dQk: 128, dV: 128 },
    { dQk: 192, dV: 128 },
  ];
  const heads = [
    { hQ: 1, hKv: 1 },
    { hQ: 8, hKv: 2 },
    { hQ: 16, hKv: 16 },
    { hQ: 32, hKv: 4 },
  ];
  for (const width of widths) {
    for (const head of heads) {
      for (const causal of flags) {
        for (const dtype of ['bf16', 'f16'] as const) {
          const base = { ...width, ...head, causal, dtype };
          for (const [b, sQ, sK] of [
            [1, 200, 200],
            [5, 64, 300],
            [7, 100, 40],
          ] as const) {
            yield { op: 'varlen-attention', ...base, b, sQ, sK };
          }
          for (const page of [undefined, 16, 64, 100]) {
            for (const sQ of [1, 5]) {
              yield { op: 'cache-attention', ...base, b: 6, sQ, sK: 700, page };
            }
          }
        }
      }
    }
  }
}

export function* denseGrid(): Generator<DenseParams> {
  yield* densePlain();
  yield* denseVariety();
}

export function* sparseGrid(): Generator<SparseParams> {
  yield* sparsePlain();
  yield* sparseCorners();
  yield* sparseVariety();
}
