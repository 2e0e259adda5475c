import { type KernelSource, kernel } from '../../../../runtime/webgpu/wgsl/kernel.ts';
import { Params } from '../../../../runtime/webgpu/wgsl/params.ts';
import { join } from '../../../../runtime/webgpu/wgsl/text.ts';
import { packFunctions, packRow, placeOf, placeParams } from './pack-row.ts';

/** What finding a row's token takes. `firstSlot`: that of the first token of the bound blocks. */
const slotParams = {
  count: 'u32',
  slots: 'u32',
  firstSlot: 'u32',
  tokens: 'u32',
} as const;

/**
 * One row for each workgroup, whose `token` counts from the first bound block. What follows runs for
 * slots in these blocks only: a smaller slot wraps around and, like a negative one, is large then.
 */
const main = (slotWords: 1 | 2, heads: string, body: string) => `
@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let item = workgroup.x + workgroup.y * workgroups.x;
  if (item >= params.count) { return; }
  let row = item / ${heads};
  let slot = params.slots + row * ${slotWords}u;
  let token = slots[slot] - params.firstSlot;
  if (token >= params.tokens) { return; }
  ${slotWords === 2 ? 'if (slots[slot + 1u] != 0u) { return; }' : ''}
  ${body}
}`;

/** A workgroup packs a row. */
export function appendPackedKernel(layout: 'v32' | 'model1', slotWords: 1 | 2): KernelSource {
  return kernel(
    `append ${layout}, slots of ${slotWords} words`,
    new Params({ ...slotParams, ...placeParams, rows: 'u32', rowStride: 'u32' }),
    [
      { name: 'source', access: 'read', element: 'u32' },
      { name: 'slots', access: 'read', element: 'u32' },
      { name: 'packed', access: 'read_write', element: 'u32' },
    ],
    join(
      placeOf(layout),
      packFunctions,
      main(
        slotWords,
        '1u',
        `let place = placeOf(token);
        let first = params.rows + row * params.rowStride;
        ${packRow(layout)}`,
      ),
    ),
  );
}

/**
 * A workgroup copies a row of one head. `aligned`: every address and size is a multiple of four bytes;
 * otherwise neighbours may share a word, and each changes its bytes of it atomically.
 */
export function appendPlainKernel(aligned: boolean, slotWords: 1 | 2): KernelSource {
  return kernel(
    `append ${aligned ? 'words' : 'bytes'}, slots of ${slotWords} words`,
    new Params({
      ...slotParams,
      page: 'u32',
      heads: 'u32',
      rowBytes: 'u32',
      rows: 'u32',
      rowStride: 'u32',
      rowHeadStride: 'u32',
      cache: 'u32',
      blockStride: 'u32',
      tokenStride: 'u32',
      headStride: 'u32',
    }),
    [
      { name: 'source', access: 'read', element: 'u32' },
      { name: 'slots', access: 'read', element: 'u32' },
      { name: 'cache', access: 'read_write', element: aligned ? 'u32' : 'atomic<u32>' },
    ],
    main(
      slotWords,
      'params.heads',
      `let head = item % params.heads;
      let rowAt = params.rows + row * params.rowStride + head * params.rowHeadStride;
      let first = params.cache + token / params.page * params.blockStride +
        token % params.page * params.tokenStride + head * params.headStride;
      ${aligned ? copyWords : copyBytes}`,
    ),
  );
}

const copyWords = `
  for (var word = thread; word < params.rowBytes / 4u; word += 64u) {
    cache[first / 4u + word] = source[rowAt / 4u + word];
  }`;

const copyBytes = `
  let end = first + params.rowBytes;
  for (var word = first / 4u + thread; word * 4u < end; word += 64u) {
    var value = 0u;
    var mask = 0u;
    for (var i = 0u; i < 4u; i++) {
      let byte = word * 4u + i;
      if (byte >= first && byte < end) {
        let at = rowAt + byte - first;
        value |= ((source[at / 4u] >> (8u * (at % 4u))) & 0xffu) << (8u * i);
        mask |= 0xffu << (8u * i);
      }
    }
    if (mask == 0xffffffffu) {
      atomicStore(&cache[word], value);
    } else {
      atomicAnd(&cache[word], ~mask);
      atomicOr(&cache[word], value);
    }
  }`;
