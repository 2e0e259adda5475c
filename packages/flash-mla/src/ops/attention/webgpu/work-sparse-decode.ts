import { join } from '../../../runtime/webgpu/wgsl/text.ts';
import { model1RowUnits } from '../../kernel-lib/webgpu/row-format.ts';
import type { AttentionConfig } from './config.ts';
import {
  list,
  placeNothing,
  placeRow,
  scheduledPieces,
  scheduleParams,
  type Work,
  workspaceBinding,
} from './work.ts';

/**
 * The rows that `indices` name, for the heads of one query position. Tokens of the extra cache follow
 * those of the main one, from a whole block on.
 */
export function sparseDecodeWork(config: AttentionConfig): Work {
  const { rows, lists } = config;
  const extra = lists.includes('extraIndices');
  const length = (name: string, width: string) =>
    lists.includes(name)
      ? `u32(clamp(${list(config, name, 'request')}, 0, i32(params.${width})))`
      : `params.${width}`;
  return {
    results: 'partial',
    params: {
      ...scheduleParams,
      indices: 'u32',
      indicesBatch: 'u32',
      indicesPosition: 'u32',
      topk: 'u32',
      ...(lists.includes('topkLength') && { topkLength: 'u32' }),
      ...(extra && {
        extraIndices: 'u32',
        extraIndicesBatch: 'u32',
        extraIndicesPosition: 'u32',
        extraTopk: 'u32',
        extraPage: 'u32',
        extraSlots: 'u32',
        extraKeys: 'u32',
        extraKeyBlock: 'u32',
        extraKeyRow: 'u32',
      }),
      ...(lists.includes('extraTopkLength') && { extraTopkLength: 'u32' }),
      seqLenQ: 'u32',
      numHeadsQ: 'u32',
      rowTiles: 'u32',
      query: 'u32',
      queryBatch: 'u32',
      queryPosition: 'u32',
      queryHead: 'u32',
      page: 'u32',
      slots: 'u32',
      keys: 'u32',
      keyBlock: 'u32',
      keyRow: 'u32',
      scale: 'f32',
    },
    lists: ['indices', ...lists, 'metadata', 'numSplits'],
    outputs: [workspaceBinding],
    body: (piece) => `
      let position = workgroup.x / params.rowTiles;
      let firstRow = workgroup.x % params.rowTiles * ${rows}u;
      let scale = params.scale;
      ${scheduledPieces(
        config,
        join(
          `let mainLength = ${length('topkLength', 'topk')};`,
          extra
            ? `let mainBlocks = max(1u, (mainLength + params.blockTokens - 1u) / params.blockTokens);
              let mainTokens = mainBlocks * params.blockTokens;
              let extraLength = ${length('extraTopkLength', 'extraTopk')};
              let tokens = select(mainLength, mainTokens + extraLength, extraLength > 0u);`
            : 'let tokens = mainLength;',
        ),
        'max(1u, (tokens + params.blockTokens - 1u) / params.blockTokens)',
        piece,
      )}`,
    rowCount: 'params.numHeadsQ',
    queryBase: (row) =>
      `params.query + request * params.queryBatch + position * params.queryPosition + (${row}) * params.queryHead`,
    locate: join(
      'var index = -1;',
      extra
        ? `if (token < mainTokens) {
            if (token < min(mainLength, end)) { index = ${entry(config, 'indices', 'token')}; }
            ${placeSlot(config, '')}
          } else {
            if (token < end) { index = ${entry(config, 'extraIndices', '(token - mainTokens)')}; }
            ${placeSlot(config, 'extra')}
          }`
        : `if (token < end) { index = ${entry(config, 'indices', 'token')}; }
          ${placeSlot(config, '')}`,
    ),
    outputRow: (row) => `(slot * params.seqLenQ + position) * params.numHeadsQ + ${row}`,
  };
}

function entry(config: AttentionConfig, name: 'indices' | 'extraIndices', token: string): string {
  const at = `request * params.${name}Batch + position * params.${name}Position + ${token}`;
  return list(config, name, at);
}

/** Fills the tables for `index` of a cache, whose parameters are named with `prefix`. */
function placeSlot(config: AttentionConfig, prefix: '' | 'extra'): string {
  const param = (name: string) =>
    `params.${prefix === '' ? name : `${prefix}${name[0]?.toUpperCase()}${name.slice(1)}`}`;
  const blockStart = `${param('keys')} + u32(index) / ${param('page')} * ${param('keyBlock')}`;
  const offset = `u32(index) % ${param('page')}`;
  const scales = `model1Scales(${blockStart} + ${param('page')} * MODEL1_ROW, ${offset})`;
  return `
    if (index >= 0 && u32(index) < ${param('slots')}) {
      ${placeRow(config, `${blockStart} + ${offset} * ${param('keyRow')}`, scales)}
    } else {
      ${placeNothing(config)}
    }`;
}

/** The 8 scale bytes of a token of a model1 block, whose scales begin at `start`. */
export function model1Reader(alignment: 1 | 4 | 16): string {
  const read =
    alignment === 16
      ? `let words = keys16(start + offset / 2u);
        return select(words.xy, words.zw, offset % 2u == 1u);`
      : `return keys16(start + offset * ${8 / alignment}u).xy;`;
  return `
    const MODEL1_ROW = ${model1RowUnits}u * KEYS_STEP;
    fn model1Scales(start: u32, offset: u32) -> vec2<u32> { ${read} }`;
}
