import { packedRows } from '../../../runtime/tensor/packed-rows.ts';
import type { StorageBinding } from '../../../runtime/webgpu/wgsl/kernel.ts';
import type { ParamFields } from '../../../runtime/webgpu/wgsl/params.ts';
import { join } from '../../../runtime/webgpu/wgsl/text.ts';
import { metadataWidth, type PartField, partField } from '../schedule/metadata.ts';
import type { AttentionConfig } from './config.ts';

/**
 * What differs between the operations: which query rows and which keys a workgroup takes, where they
 * are, and where results go. Texts are WGSL; `row` counts the rows of one KV head (or, sparse, of one
 * query position).
 */
interface WorkBase {
  readonly params: ParamFields;
  /** i32 inputs, read through `list`. */
  readonly lists: readonly string[];
  readonly outputs: readonly StorageBinding[];
  /**
   * The body of the kernel. `piece` attends to tokens `begin` to `end` for rows from `firstRow` on, with
   * logits scaled by `scale`.
   */
  body(piece: string): string;
  /** Number of rows; a workgroup may have more places than that. */
  readonly rowCount: string;
  /** Element of `queries` at which a row begins. */
  queryBase(row: string): string;
  /** The token that ends what a row sees (causal). */
  limit?(row: string): string;
  /** Statements that fill `keyAt[slot]` and its companions for `token`. */
  readonly locate: string;
  /** Row of the output tensor, or of the workspace. */
  outputRow(row: string): string;
}

/** Decoding leaves partial results in a workspace, the other operations write what they return. */
export type Work =
  | (WorkBase & { readonly results: 'partial' })
  | (WorkBase & {
      readonly results: 'final';
      /** Index into lse of a row that is at `outputRow`. */
      lseIndex(row: string, outputRow: string): string;
      readonly maxLogits: boolean;
      /** Query head of a row, for the sink. */
      head?(row: string): string;
    });

/** Reads an entry of an i32 input, which has a binding of its own or shares `lists`. */
export function list(config: AttentionConfig, name: string, index: string): string {
  const binding = config.packed.includes(name) ? 'lists' : name;
  return `${binding}[params.${name} + ${index}]`;
}

/**
 * Where results of splits lie. The tensors of a schedule are the user's to write to, and lengths may be
 * others than those that they were computed from: no kernel follows them beyond these.
 */
export const splitParams = {
  slots: 'u32',
  /** Slots that each request has for itself; 0: they follow one another as `numSplits` says. */
  slotsPerRequest: 'u32',
} as const satisfies ParamFields;

/** What the two decode operations share: the parts and pieces of a tile schedule. */
export const scheduleParams: ParamFields = {
  metadata: 'u32',
  numSplits: 'u32',
  blockTokens: 'u32',
  splitBlocks: 'u32',
  ...splitParams,
  batch: 'u32',
  mostBlocks: 'u32',
};

/**
 * Walks the requests of part `workgroup.y` and cuts each into pieces. `measure` defines `tokens`, the
 * tokens of `request`, and whatever else `piece` needs to know about it. What a part has of a request is one
 * piece at least: the combine counts on its result, though a length may have become shorter.
 */
export function scheduledPieces(
  config: AttentionConfig,
  measure: string,
  blocks: string,
  piece: string,
): string {
  const field = (name: PartField) =>
    list(config, 'metadata', `workgroup.y * ${metadataWidth}u + ${partField[name]}u`);
  return `
    let firstRequest = u32(max(0, ${field('beginRequest')}));
    let endRequest = u32(clamp(${field('endRequest')}, -1, i32(params.batch) - 1) + 1);
    let isFixed = params.slotsPerRequest > 0u;
    for (var request = firstRequest; request < endRequest; request++) {
      ${measure}
      let isFirst = request == firstRequest;
      var block = select(0u, min(u32(max(0, ${field('beginBlock')})), params.mostBlocks), isFirst);
      let endOfShare = select(${blocks}, u32(max(0, ${field('endBlock')})), request + 1u == endRequest);
      let lastBlock = max(min(endOfShare, params.mostBlocks), block + 1u);
      var split = select(0u, u32(${field('beginSplit')}), isFirst);
      let firstSlot = select(u32(${list(config, 'numSplits', 'request')}), request * params.slotsPerRequest, isFixed);
      // Fixed splits behind the request's last belong to a length above what is planned for.
      while (block < lastBlock && !(isFixed && split >= params.slotsPerRequest)) {
        let slot = min(firstSlot + split, params.slots - 1u);
        let endBlock = select(lastBlock, min(block + params.splitBlocks, lastBlock), params.splitBlocks > 0u);
        let begin = block * params.blockTokens;
        let end = min(endBlock * params.blockTokens, tokens);
        ${piece}
        block = endBlock;
        split++;
      }
    }`;
}

/** The output of a decode kernel: for each slot and row, vec4 of the output, then one with the lse. */
export const workspaceBinding: StorageBinding = {
  name: 'workspace',
  access: 'read_write',
  element: 'vec4<f32>',
};

/** Statements that look a slot of a cache up: `keyAt` and, for packed rows, `scaleWords`. */
export function placeRow(config: AttentionConfig, row: string, blockStart: string): string {
  const { scaleWords, scales } = config.keys;
  const inside = `keys16(row + ${packedRows.v32.valueColumns / 16}u * KEYS_STEP)`;
  const words =
    scales === 'inside'
      ? [0, 1, 2, 3].map((i) => `bitcast<u32>(bitcast<f32>(words[${i}]) * E4M3_GAIN)`)
      : ['words.x', 'words.y'];
  return join(
    `let row = ${row};`,
    'keyAt[slot] = row;',
    scales === 'inside' && `let words = ${inside};`,
    scales === 'beside' && `let words = ${blockStart};`,
    scaleWords > 0 &&
      words.map((word, i) => `scaleWords[slot * ${scaleWords}u + ${i}u] = ${word};`).join('\n'),
  );
}

/** Statements for a token that is not there: nothing is read, and nothing comes of it. */
export function placeNothing(config: AttentionConfig): string {
  const { scaleWords } = config.keys;
  return join(
    'keyAt[slot] = NOWHERE;',
    config.values && 'valueAt[slot] = NOWHERE;',
    ...Array.from(
      { length: scaleWords },
      (_, i) => `scaleWords[slot * ${scaleWords}u + ${i}u] = 0u;`,
    ),
  );
}
