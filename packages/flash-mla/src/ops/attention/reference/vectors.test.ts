import { decodeAll, type HostTensor } from '@flash-mla/core';
import { describe, expect, it } from 'vitest';
import type { packedLayouts } from '../../kv-cache/reference/packed-rows.ts';
import { denseDecode } from './dense-decode.ts';
import { sparseDecode } from './sparse-decode.ts';
import { sparsePrefill } from './sparse-prefill.ts';
import { type CaseFile, readCase } from './testing/read-case.ts';

/**
 * What the case files hold, found by comparing: `expected.*` is float32 arithmetic on the quantised
 * inputs (out of decode problems stored as bf16, of prefill as f32), `flashmla.*` is what FlashMLA's
 * kernels gave on an H200 (P rounded to bf16). lse is a natural log and +inf for rows without keys;
 * max_logits are scaled by sm_scale and −inf for such rows; out is 0 there. Sinks of ±inf occur.
 */

/** Every |a − e| is within `absolute` or `relative`·|e|; infinities stand in the same places. */
function expectClose(
  actual: Float64Array,
  stored: HostTensor,
  absolute: number,
  relative: number,
): void {
  const expected = decodeAll(stored);
  expect(actual.length).toBe(expected.length);
  const bad = expected.findIndex((e, i) => {
    const a = actual[i] as number;
    if (Object.is(a, e) || a === e) return false;
    const distance = Math.abs(a - e);
    return !(distance <= absolute || distance <= relative * Math.abs(e));
  });
  expect(bad === -1 ? 'all close' : `[${bad}]: ${actual[bad]} against ${expected[bad]}`).toBe(
    'all close',
  );
}

/** Rounding to bf16 costs at most half a unit in the last of 8 bits; float32 sums a little more. */
const bf16 = { absolute: 1e-6, relative: 2 ** -8 * 1.001 };
const float32 = { absolute: 2e-7, relative: 4e-7 };

function blocked(file: CaseFile, name: string, pageKey: string): HostTensor<'u8'> {
  const cache = file.get<'u8'>(name);
  const page = Number(file.metadata[pageKey]);
  const [blocks, blockBytes] = cache.shape as [number, number];
  return { dtype: 'u8', shape: [blocks, page, 1, blockBytes / page], data: cache.data };
}

function expectDecodeAnswers(file: CaseFile, out: Float64Array, lse: Float64Array): void {
  expectClose(out, file.get('expected.out'), bf16.absolute, bf16.relative);
  expectClose(lse, file.get('expected.lse'), float32.absolute, float32.relative);
  expectClose(out, file.get('flashmla.out'), 8e-4, 2.01 / 128);
  expectClose(lse, file.get('flashmla.lse'), 1e-6, 8.01 / 65536);
}

describe('the reference on the case files', () => {
  it.each(['dense_varlen', 'dense_causal_gqa'])('%s', (name) => {
    const file = readCase(name);
    const answer = denseDecode({
      q: file.get('q'),
      kCache: file.get('k_cache'),
      blockTable: file.get('block_table'),
      cacheSeqlens: file.get('cache_seqlens'),
      headDimV: Number(file.metadata.head_dim_v),
      softmaxScale: Number(file.metadata.softmax_scale),
      causal: file.metadata.causal === 'true',
    });
    expectDecodeAnswers(file, answer.out, answer.lse);
  });

  it.each(['sparse_v32', 'sparse_v32_invalid', 'sparse_model1_extra'])('%s', (name) => {
    const file = readCase(name);
    const answer = sparseDecode({
      q: file.get('q'),
      layout: file.metadata.kv_layout as keyof typeof packedLayouts,
      kCache: blocked(file, 'k_cache', 'page_block_size'),
      indices: file.get('indices'),
      topkLength: file.find('topk_length'),
      extra: file.find('extra_k_cache') && {
        kCache: blocked(file, 'extra_k_cache', 'extra_page_block_size'),
        indices: file.get('extra_indices_in_kvcache'),
        topkLength: file.find('extra_topk_length'),
      },
      attnSink: file.find('attn_sink'),
      headDimV: Number(file.metadata.head_dim_v),
      softmaxScale: Number(file.metadata.softmax_scale),
    });
    expectDecodeAnswers(file, answer.out, answer.lse);
  });

  it.each(['prefill_512', 'prefill_576'])('%s', (name) => {
    const file = readCase(name);
    const answer = sparsePrefill({
      q: file.get('q'),
      kv: file.get('kv'),
      indices: file.get('indices'),
      smScale: Number(file.metadata.sm_scale),
      dV: Number(file.metadata.d_v),
      attnSink: file.find('attn_sink'),
      topkLength: file.find('topk_length'),
    });
    for (const [rows, name] of [
      [answer.out, 'out'],
      [answer.lse, 'lse'],
      [answer.maxLogits, 'max_logits'],
    ] as const) {
      expectClose(rows, file.get(`expected.${name}`), 1e-6, float32.relative);
      if (name === 'out') expectClose(rows, file.get('flashmla.out'), 8e-4, 3.01 / 128);
      else expectClose(rows, file.get(`flashmla.${name}`), 1e-6, 2.01 / 65536);
    }
  });
});
