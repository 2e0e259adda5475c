import { FileFormatError, type HostTensor } from '@flash-mla/core';
import { type FileInput, openSafetensors, type SafetensorsFile } from '@flash-mla/safetensors';
import { packedRows } from '../../../runtime/tensor/packed-rows.ts';
import type { Answers } from '../../conformance/problem.ts';
import type { DenseDecode, SparseDecode, SparsePrefill } from '../conformance/problems.ts';
import type { SparseCacheProblem } from '../reference/sparse-rows.ts';
import { CaseMetadata } from './case-metadata.ts';
import { CaseTensors } from './case-tensors.ts';

/** A problem and the answers that its file holds. */
export interface Case {
  /** The file's name without folder and extension. */
  readonly name: string;
  readonly problem: CaseProblem;
  readonly answers: CaseAnswers;
}

/** The problems that a case file can hold. */
export type CaseProblem = DenseDecode | SparseDecode | SparsePrefill;

export interface CaseAnswers {
  /** Float32 arithmetic on the quantised inputs. */
  readonly expected: Answers;
  /** What FlashMLA's own kernel gave on an H200. */
  readonly flashmla: Answers;
}

const outDTypes = ['bf16', 'f16', 'f32'] as const;
const maxExtent = 2 ** 31 - 1;

/**
 * Loads a case file (docs/architecture.md, "Case files"). Throws {@link FileFormatError} naming the tensor or the field of
 * `__metadata__` where the file is not one, where shapes do not fit each other, or where its block
 * table leaves the cache; throws {@link InvalidArgumentError} where there is no file.
 */
export async function loadCase(input: FileInput, name?: string): Promise<Case> {
  const file = await openSafetensors(input, name);
  try {
    return await readCase(file);
  } finally {
    await file.close();
  }
}

/** As {@link loadCase}, from a file that is already open. */
export async function readCase(file: SafetensorsFile): Promise<Case> {
  const name = file.name.replace(/^.*[/\\]/, '').replace(/\.safetensors$/, '');
  const metadata = new CaseMetadata(file);
  const tensors = new CaseTensors(file);
  const op = metadata.choice('op', ['flash_mla_with_kvcache', 'flash_mla_sparse_fwd']);
  if (op === 'flash_mla_sparse_fwd') {
    const problem = await readPrefill(metadata, tensors);
    return { name, problem, answers: await readAnswers(tensors, ['sQ', 'hQ'], ['sQ', 'hQ']) };
  }
  const problem = tensors.has('indices')
    ? await readSparse(metadata, tensors)
    : await readDense(file, metadata, tensors);
  const answers = await readAnswers(tensors, ['b', 'sQ', 'hQ'], ['b', 'hQ', 'sQ']);
  checkWidth(file, answers, problem.headDimV);
  return { name, problem, answers };
}

async function readDense(
  file: SafetensorsFile,
  metadata: CaseMetadata,
  tensors: CaseTensors,
): Promise<DenseDecode> {
  const q = await tensors.read('q', ['bf16', 'f16', 'e4m3'], ['b', 'sQ', 'hQ', 'dQk']);
  const kCache = await tensors.read('k_cache', [q.dtype], ['blocks', 'page', 'hK', 'dQk']);
  const blockTable = await tensors.read('block_table', ['i32'], ['b', 'maxBlocks']);
  const cacheSeqlens = await tensors.read('cache_seqlens', ['i32'], ['b']);
  const descaleQ = await tensors.find('descale_q', ['f32'], [1]);
  const descaleK = await tensors.find('descale_k', ['f32'], [1]);
  if (tensors.extent('hQ') % tensors.extent('hK') !== 0) {
    const expected = `hK, a divisor of hQ = ${tensors.extent('hQ')}`;
    throw new FileFormatError(file.name, 'k_cache.shape[2]', expected, `${tensors.extent('hK')}`);
  }
  checkFp8(file, metadata, q.dtype === 'e4m3');
  checkBlockTable(file, blockTable, cacheSeqlens, tensors);
  return {
    op: 'dense-decode',
    q,
    kCache,
    blockTable,
    cacheSeqlens,
    headDimV: metadata.integer('head_dim_v', 1, tensors.extent('dQk')),
    softmaxScale: metadata.scale('softmax_scale'),
    causal: metadata.flag('causal'),
    descaleQ: descaleQ?.data[0],
    descaleK: descaleK?.data[0],
  };
}

async function readSparse(metadata: CaseMetadata, tensors: CaseTensors): Promise<SparseDecode> {
  const q = await tensors.read('q', ['bf16'], ['b', 'sQ', 'hQ', 'dQk']);
  const layout = metadata.has('kv_layout')
    ? metadata.choice('kv_layout', ['v32', 'model1', 'bf16'])
    : 'bf16';
  const cache = (prefix: string, page: string) =>
    readCache(metadata, tensors, layout, prefix, page);
  return {
    op: 'sparse-decode',
    q,
    layout,
    kCache: await cache('k_cache', 'page_block_size'),
    indices: await tensors.read('indices', ['i32'], ['b', 'sQ', 'topk']),
    topkLength: await tensors.find('topk_length', ['i32'], ['b']),
    extra: await readExtra(tensors, () => cache('extra_k_cache', 'extra_page_block_size')),
    attnSink: await tensors.find('attn_sink', ['f32'], ['hQ']),
    headDimV: metadata.integer('head_dim_v', 1, tensors.extent('dQk')),
    softmaxScale: metadata.scale('softmax_scale'),
  };
}

async function readExtra(
  tensors: CaseTensors,
  readKCache: () => Promise<HostTensor>,
): Promise<SparseCacheProblem | undefined> {
  if (!tensors.has('extra_k_cache')) return undefined;
  return {
    kCache: await readKCache(),
    indices: await tensors.read('extra_indices_in_kvcache', ['i32'], ['b', 'sQ', 'extraTopk']),
    topkLength: await tensors.find('extra_topk_length', ['i32'], ['b']),
  };
}

/** Packed rows travel as U8 (blocks, page × rowBytes), bf16 rows as they are. */
async function readCache(
  metadata: CaseMetadata,
  tensors: CaseTensors,
  layout: 'v32' | 'model1' | 'bf16',
  name: string,
  pageKey: string,
): Promise<HostTensor> {
  const blocks = `blocks of ${name}`;
  if (layout === 'bf16') {
    return tensors.read(name, ['bf16'], [blocks, `page of ${name}`, 1, 'dQk']);
  }
  const page = metadata.integer(pageKey, 1, maxExtent);
  const { rowBytes } = packedRows[layout];
  const { data } = await tensors.read(name, ['u8'], [blocks, page * rowBytes]);
  return { dtype: 'u8', shape: [tensors.extent(blocks), page, 1, rowBytes], data };
}

async function readPrefill(metadata: CaseMetadata, tensors: CaseTensors): Promise<SparsePrefill> {
  return {
    op: 'sparse-prefill',
    q: await tensors.read('q', ['bf16'], ['sQ', 'hQ', 'dQk']),
    kv: await tensors.read('kv', ['bf16'], ['sKv', 'hKv', 'dQk']),
    indices: await tensors.read('indices', ['i32'], ['sQ', 'hKv', 'topk']),
    attnSink: await tensors.find('attn_sink', ['f32'], ['hQ']),
    topkLength: await tensors.find('topk_length', ['i32'], ['sQ']),
    smScale: metadata.scale('sm_scale'),
    dV: metadata.integer('d_v', 1, tensors.extent('dQk')),
  };
}

async function readAnswers(
  tensors: CaseTensors,
  outRows: readonly string[],
  lseShape: readonly string[],
): Promise<CaseAnswers> {
  const side = async (prefix: string): Promise<Answers> => {
    const out = await tensors.find(`${prefix}.out`, outDTypes, [...outRows, 'dV']);
    const lse = await tensors.find(`${prefix}.lse`, ['f32'], lseShape);
    const maxLogits = await tensors.find(`${prefix}.max_logits`, ['f32'], lseShape);
    return {
      ...(out && { out }),
      ...(lse && { lse }),
      ...(maxLogits && { max_logits: maxLogits }),
    };
  };
  return { expected: await side('expected'), flashmla: await side('flashmla') };
}

function checkWidth(file: SafetensorsFile, answers: CaseAnswers, headDimV: number): void {
  for (const [side, { out }] of Object.entries(answers) as [string, Answers][]) {
    const width = out?.shape.at(-1);
    if (width === undefined || width === headDimV) continue;
    const field = `${side}.out.shape[${(out?.shape.length ?? 0) - 1}]`;
    throw new FileFormatError(file.name, field, `head_dim_v = ${headDimV}`, `${width}`);
  }
}

function checkFp8(file: SafetensorsFile, metadata: CaseMetadata, isFp8: boolean): void {
  if (!metadata.has('is_fp8_kvcache') || metadata.flag('is_fp8_kvcache') === isFp8) return;
  throw new FileFormatError(file.name, '__metadata__.is_fp8_kvcache', `${isFp8}`, `${!isFp8}`);
}

/** A device follows the table into memory unchecked: entries that count must be blocks of the cache. */
function checkBlockTable(
  file: SafetensorsFile,
  blockTable: HostTensor<'i32'>,
  cacheSeqlens: HostTensor<'i32'>,
  tensors: CaseTensors,
): void {
  const [page, blocks] = [tensors.extent('page'), tensors.extent('blocks')];
  const maxBlocks = tensors.extent('maxBlocks');
  cacheSeqlens.data.forEach((length, request) => {
    if (length < 0 || length > maxBlocks * page) {
      const expected = `0 to maxBlocks · page = ${maxBlocks * page}`;
      throw new FileFormatError(file.name, `cache_seqlens[${request}]`, expected, `${length}`);
    }
    for (let i = 0; i * page < length; i++) {
      const block = blockTable.data[request * maxBlocks + i] as number;
      if (block >= 0 && block < blocks) continue;
      const field = `block_table[${request}, ${i}]`;
      throw new FileFormatError(file.name, field, `a block from 0 to ${blocks - 1}`, `${block}`);
    }
  });
}
