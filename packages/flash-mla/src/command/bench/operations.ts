import type { BenchOperation } from '../../ops/bench/operation.ts';
import { operationTools } from '../../ops/operation-tools.ts';

/** Loads an operation by name. Adding one adds a file and a line. */
export const benchOperations: Readonly<Record<string, () => Promise<BenchOperation>>> = {
  'dense-decode': async () =>
    (await import('../../ops/attention/bench/dense-decode.ts')).denseDecode,
  'sparse-decode': async () =>
    (await import('../../ops/attention/bench/sparse-decode.ts')).sparseDecode,
  'sparse-prefill': async () =>
    (await import('../../ops/attention/bench/sparse-prefill.ts')).sparsePrefill,
  'dense-attention': async () =>
    (await import('../../ops/attention/bench/dense-attention.ts')).denseAttention,
  quantize: async () => (await import('../../ops/kv-cache/bench/quantize.ts')).quantize,
  append: async () => (await import('../../ops/kv-cache/bench/append.ts')).append,
  metadata: async () => (await import('../../ops/attention/bench/metadata.ts')).metadata,
  ...Object.fromEntries(
    operationTools.flatMap(({ benches }) =>
      benches.map((bench) => [bench.name, async () => bench]),
    ),
  ),
};
