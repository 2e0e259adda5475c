import { hostTensor } from '@flash-mla/core';
import { encodeSafetensors, type WritableTensor, writeSafetensors } from '@flash-mla/safetensors';
import { type Answers, answerNames } from '../../conformance/problem.ts';
import type { SparseCacheProblem } from '../reference/sparse-rows.ts';
import type { Case, CaseProblem } from './load-case.ts';

/** Writes a case file by atomic rename; Node only. Throws {@link InvalidArgumentError}. */
export function saveCase(
  path: string | URL,
  toSave: Pick<Case, 'problem' | 'answers'>,
): Promise<void> {
  return writeSafetensors(path, tensorsOf(toSave), metadataOf(toSave.problem));
}

/** The bytes of a case file. */
export function encodeCase(toSave: Pick<Case, 'problem' | 'answers'>): Promise<Uint8Array> {
  return encodeSafetensors(tensorsOf(toSave), metadataOf(toSave.problem));
}

function tensorsOf({ problem, answers }: Pick<Case, 'problem' | 'answers'>) {
  const tensors = new Map<string, WritableTensor>();
  const put = (name: string, tensor: WritableTensor | undefined) => {
    if (tensor !== undefined) tensors.set(name, tensor);
  };
  put('q', problem.q);
  if (problem.op === 'dense-decode') {
    put('k_cache', problem.kCache);
    put('block_table', problem.blockTable);
    put('cache_seqlens', problem.cacheSeqlens);
    put('descale_q', scalar(problem.descaleQ));
    put('descale_k', scalar(problem.descaleK));
  } else if (problem.op === 'sparse-decode') {
    put('k_cache', blocked(problem));
    put('indices', problem.indices);
    put('topk_length', problem.topkLength);
    put('extra_k_cache', problem.extra && blocked(problem.extra));
    put('extra_indices_in_kvcache', problem.extra?.indices);
    put('extra_topk_length', problem.extra?.topkLength);
    put('attn_sink', problem.attnSink);
  } else {
    put('kv', problem.kv);
    put('indices', problem.indices);
    put('topk_length', problem.topkLength);
    put('attn_sink', problem.attnSink);
  }
  for (const [side, given] of Object.entries(answers) as [string, Answers][]) {
    for (const name of answerNames) put(`${side}.${name}`, given[name]);
  }
  return tensors;
}

function metadataOf(problem: CaseProblem): Record<string, string> {
  if (problem.op === 'sparse-prefill') {
    return { op: 'flash_mla_sparse_fwd', sm_scale: `${problem.smScale}`, d_v: `${problem.dV}` };
  }
  const scale = problem.softmaxScale ?? 1 / Math.sqrt(problem.q.shape[3] as number);
  const common = {
    op: 'flash_mla_with_kvcache',
    head_dim_v: `${problem.headDimV}`,
    softmax_scale: `${scale}`,
  };
  if (problem.op === 'dense-decode') {
    const isFp8 = problem.q.dtype === 'e4m3';
    return { ...common, causal: `${problem.causal ?? false}`, is_fp8_kvcache: `${isFp8}` };
  }
  return {
    ...common,
    causal: 'false',
    is_fp8_kvcache: `${problem.layout !== 'bf16'}`,
    kv_layout: problem.layout,
    page_block_size: `${problem.kCache.shape[1]}`,
    ...(problem.extra && { extra_page_block_size: `${problem.extra.kCache.shape[1]}` }),
  };
}

function scalar(value: number | undefined): WritableTensor | undefined {
  return value === undefined ? undefined : hostTensor('f32', [1], Float32Array.of(value));
}

/** Packed rows (blocks, page, 1, rowBytes) → (blocks, page × rowBytes). */
function blocked({ kCache }: SparseCacheProblem): WritableTensor {
  if (kCache.dtype !== 'u8') return kCache;
  const [blocks, page, , rowBytes] = kCache.shape as [number, number, number, number];
  return { ...kCache, shape: [blocks, page * rowBytes] };
}
