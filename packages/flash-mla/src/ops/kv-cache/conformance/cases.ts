import { problemCase } from '../../conformance/suite/problem-case.ts';
import { append } from './append.ts';
import { dequantize, quantize } from './conversion.ts';
import type { AppendParams, ConversionParams } from './params.ts';

const quickConversion: readonly ConversionParams[] = [
  { op: 'quantize', layout: 'v32', blocks: 3, page: 5 },
  { op: 'quantize', layout: 'model1', blocks: 3, page: 5 },
  { op: 'quantize', layout: 'model1', blocks: 1, page: 64 },
  { op: 'dequantize', layout: 'v32', blocks: 3, page: 5 },
  { op: 'dequantize', layout: 'model1', blocks: 3, page: 5 },
  { op: 'dequantize', layout: 'model1', blocks: 2, page: 64, gap: 2 },
];

const quickAppend: readonly AppendParams[] = [
  { op: 'append', layout: 'v32', blocks: 3, page: 16, rows: 20 },
  { op: 'append', layout: 'v32', blocks: 4, page: 5, rows: 9, gap: 1, longSlots: true },
  { op: 'append', layout: 'model1', blocks: 3, page: 7, rows: 13 },
  { op: 'append', layout: 'model1', blocks: 2, page: 64, rows: 40, gap: 2 },
  { op: 'append', layout: 'model1', blocks: 3, page: 16, rows: 20, graph: true },
  { op: 'append', layout: 'bf16', blocks: 3, page: 16, rows: 40 },
  { op: 'append', layout: 'bf16', blocks: 3, page: 16, rows: 20, hKv: 3, dQk: 40, gap: 1 },
  { op: 'append', layout: 'bf16', blocks: 3, page: 16, rows: 20, graph: true, longSlots: true },
  { op: 'append', layout: 'f16', blocks: 4, page: 6, rows: 20, hKv: 2, dQk: 128 },
  { op: 'append', layout: 'f16', blocks: 2, page: 3, rows: 5, dQk: 2000, gap: 1 },
  { op: 'append', layout: 'e4m3', blocks: 3, page: 16, rows: 20 },
  { op: 'append', layout: 'e4m3', blocks: 3, page: 5, rows: 12, hKv: 2, dQk: 37, gap: 1 },
];

function* appendGrid(): Generator<AppendParams> {
  const variants = [{}, { gap: 1 }, { gap: 16 }, { longSlots: true }, { graph: true }] as const;
  for (const variant of variants) {
    for (const page of [1, 16, 64, 69]) {
      for (const rows of [1, 128, 1000]) {
        const base = { op: 'append', blocks: Math.ceil((2 * rows) / page), page, rows } as const;
        yield { ...base, layout: 'v32', ...variant };
        yield { ...base, layout: 'model1', ...variant };
        for (const layout of ['bf16', 'f16', 'e4m3'] as const) {
          yield { ...base, layout, ...variant };
          yield { ...base, layout, hKv: 4, dQk: 128, ...variant };
          yield { ...base, layout, hKv: 2, dQk: 81, ...variant };
        }
      }
    }
  }
}

/** The conformance cases of the KV cache. */
export const kvCacheCases = [
  ...quickConversion.map((params) =>
    params.op === 'quantize'
      ? problemCase(quantize, params, true)
      : problemCase(dequantize, params, true),
  ),
  ...quickAppend.map((params) => problemCase(append, params, true)),
  ...Array.from(appendGrid(), (params) => problemCase(append, params, false)),
];
