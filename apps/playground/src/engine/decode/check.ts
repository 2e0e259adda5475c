import type { Tensor } from 'flash-mla';
import { compare, toleranceOf } from 'flash-mla/cases';
import { denseDecode, type HostTensor, hostTensor, sparseDecode } from 'flash-mla/reference';
import type { PagedCache } from './paged-cache.ts';
import type { Rows } from './rows.ts';
import { headDimQk, headDimV, type LoopCheck, type LoopSettings, rowBytes } from './settings.ts';

/** A step as it stands on the device. */
export interface Step {
  readonly settings: LoopSettings;
  readonly cache: PagedCache;
  readonly rows: Rows;
  readonly lengths: readonly number[];
  /** (b, 1, hQ, dQk) and (b, 1, hQ, 512). */
  readonly q: Tensor<'bf16'>;
  readonly out: Tensor<'bf16'>;
  /** Packed rows: i32 (b, 1, topk), on the host. */
  readonly indices: Int32Array | undefined;
}

/**
 * Holds the step's output for the shortest request, first and last head, against the float64 reference,
 * which gets the pages of that request as the device holds them.
 */
export async function checkStep(step: Step): Promise<LoopCheck> {
  const { settings, cache, rows, lengths, q, out } = step;
  const { layout, heads, page } = settings;
  const request = lengths.indexOf(Math.min(...lengths));
  const blocks = cache.blocksOf(request);
  const bytes = new Uint8Array(blocks.length * page * rowBytes[layout]);
  for (const [i, block] of blocks.entries()) {
    bytes.set(await rows.readBlock(block), i * page * rowBytes[layout]);
  }
  const chosen = [...new Set([0, heads - 1])];
  const pick = (tensor: Tensor<'bf16'>, columns: number) =>
    pickHeads(tensor, request, chosen, columns);
  const problem = {
    q: await pick(q, headDimQk[layout]),
    headDimV,
  };
  const kCache = cacheOf(layout, [blocks.length, page], bytes);
  const actual = await pick(out, headDimV);
  const length = lengths[request] as number;
  const answer =
    layout === 'bf16'
      ? denseDecode({
          ...problem,
          kCache,
          blockTable: hostTensor('i32', [1, blocks.length], Int32Array.from(blocks.keys())),
          cacheSeqlens: hostTensor('i32', [1], Int32Array.of(length)),
          causal: true,
        })
      : sparseDecode({ ...problem, layout, kCache, indices: localIndices(step, request, blocks) });
  const tolerance = toleranceOf(
    layout === 'bf16' ? 'dense-decode' : 'sparse-decode',
    'out',
    'bf16',
  );
  const comparison = compare('out', 'reference', actual, { values: answer.out }, tolerance);
  return { request, heads: chosen, comparison };
}

/** One request's rows of some heads, (1, 1, heads, columns). */
async function pickHeads(
  tensor: Tensor<'bf16'>,
  request: number,
  heads: readonly number[],
  columns: number,
): Promise<HostTensor<'bf16'>> {
  const data = new Uint16Array(heads.length * columns);
  for (const [i, head] of heads.entries()) {
    const row = tensor.slice(0, request, request + 1).slice(2, head, head + 1);
    data.set(await row.read(), i * columns);
  }
  return hostTensor('bf16', [1, 1, heads.length, columns], data);
}

function cacheOf(
  layout: LoopSettings['layout'],
  [blocks, page]: readonly [number, number],
  bytes: Uint8Array<ArrayBuffer>,
): HostTensor {
  if (layout !== 'bf16') return hostTensor('u8', [blocks, page, 1, rowBytes[layout]], bytes);
  return hostTensor('bf16', [blocks, page, 1, headDimQk.bf16], new Uint16Array(bytes.buffer));
}

/** The request's indices as slots of a cache that has only its own pages. */
function localIndices(
  { settings, indices = new Int32Array() }: Step,
  request: number,
  blocks: readonly number[],
): HostTensor<'i32'> {
  const { topk, page } = settings;
  const places = new Map(blocks.map((block, i) => [block, i]));
  const own = indices.subarray(request * topk, (request + 1) * topk);
  const local = own.map((slot) => {
    const place = places.get(Math.floor(slot / page));
    return place === undefined ? -1 : place * page + (slot % page);
  });
  return hostTensor('i32', [1, 1, topk], local);
}
