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

/** Paged rows of a request for the query rows that share a KV head: row = query position · group + g. */
export function denseDecodeWork(config: AttentionConfig): Work {
  const { rows, causal, query } = config;
  const position = (row: string) => `(${row}) / params.group`;
  const head = (row: string) => `(head * params.group + (${row}) % params.group)`;
  return {
    results: 'partial',
    params: {
      ...scheduleParams,
      seqlens: 'u32',
      blockTable: 'u32',
      tableStride: 'u32',
      capacity: 'u32',
      seqLenQ: 'u32',
      numHeadsQ: 'u32',
      group: 'u32',
      rowTiles: 'u32',
      query: 'u32',
      queryBatch: 'u32',
      queryPosition: 'u32',
      queryHead: 'u32',
      page: 'u32',
      numBlocks: 'u32',
      keys: 'u32',
      keyBlock: 'u32',
      keyRow: 'u32',
      keyHead: 'u32',
      scale: 'f32',
      ...(query === 'e4m3' && { descaleQ: 'f32', descaleK: 'f32' }),
    },
    lists: ['seqlens', 'blockTable', 'metadata', 'numSplits'],
    outputs: [workspaceBinding],
    body: (piece) => `
      let head = workgroup.x / params.rowTiles;
      let firstRow = workgroup.x % params.rowTiles * ${rows}u;
      let scale = params.scale${query === 'e4m3' ? ' * params.descaleQ * params.descaleK' : ''};
      ${scheduledPieces(
        config,
        `let tokens = u32(clamp(${list(config, 'seqlens', 'request')}, 0, i32(params.capacity)));`,
        'max(1u, (tokens + params.blockTokens - 1u) / params.blockTokens)',
        piece,
      )}`,
    rowCount: 'params.seqLenQ * params.group',
    queryBase: (row) =>
      `params.query + request * params.queryBatch + ${position(row)} * params.queryPosition + ${head(row)} * params.queryHead`,
    ...(causal && {
      // Two's complement wraps: a row that sees nothing has a limit of 0.
      limit: (row: string) =>
        `u32(max(0, i32(tokens + ${position(row)} + 1u) - i32(params.seqLenQ)))`,
    }),
    locate: `
      let tableEntry = u32(${list(config, 'blockTable', 'request * params.tableStride + token / params.page')});
      if (token < end && tableEntry < params.numBlocks) {
        ${placeRow(config, 'params.keys + tableEntry * params.keyBlock + token % params.page * params.keyRow + head * params.keyHead', '')}
      } else {
        ${placeNothing(config)}
      }`,
    outputRow: (row) =>
      `(slot * params.seqLenQ + ${position(row)}) * params.numHeadsQ + ${head(row)}`,
  };
}
