import type { AttentionConfig } from './config.ts';
import { list, placeNothing, placeRow, type Work } from './work.ts';

/** The rows of `kv` that `indices` name, for the query heads of one position and KV head. */
export function sparsePrefillWork(config: AttentionConfig): Work {
  const { rows, lists } = config;
  const head = (row: string) => `(head * params.group + ${row})`;
  return {
    results: 'final',
    maxLogits: true,
    params: {
      items: 'u32',
      rowTiles: 'u32',
      numHeadsKv: 'u32',
      numHeadsQ: 'u32',
      group: 'u32',
      indices: 'u32',
      indicesPosition: 'u32',
      indicesHead: 'u32',
      topk: 'u32',
      ...Object.fromEntries(lists.map((name) => [name, 'u32' as const])),
      query: 'u32',
      queryPosition: 'u32',
      queryHead: 'u32',
      numKeys: 'u32',
      keys: 'u32',
      keyRow: 'u32',
      keyHead: 'u32',
      output: 'u32',
      maxLogits: 'u32',
      lse: 'u32',
      scale: 'f32',
    },
    lists: ['indices', ...lists],
    outputs: [
      { name: 'output', access: 'read_write', element: 'u32' },
      { name: 'maxLogits', access: 'read_write', element: 'u32' },
      { name: 'lse', access: 'read_write', element: 'u32' },
    ],
    body: (piece) => `
      let item = workgroup.x + workgroup.y * workgroups.x;
      if (item >= params.items) { return; }
      let firstRow = item % params.rowTiles * ${rows}u;
      let head = item / params.rowTiles % params.numHeadsKv;
      let position = item / (params.rowTiles * params.numHeadsKv);
      let scale = params.scale;
      let begin = 0u;
      let end = ${lists.includes('topkLength') ? `u32(clamp(${list(config, 'topkLength', 'position')}, 0, i32(params.topk)))` : 'params.topk'};
      ${piece}`,
    rowCount: 'params.group',
    queryBase: (row) =>
      `params.query + position * params.queryPosition + ${head(row)} * params.queryHead`,
    locate: `
      var index = -1;
      if (token < end) { index = ${list(config, 'indices', 'position * params.indicesPosition + head * params.indicesHead + token')}; }
      if (index >= 0 && u32(index) < params.numKeys) {
        ${placeRow(config, 'params.keys + u32(index) * params.keyRow + head * params.keyHead', '')}
      } else {
        ${placeNothing(config)}
      }`,
    outputRow: (row) => `position * params.numHeadsQ + ${head(row)}`,
    lseIndex: (_row, at) => at,
    head,
  };
}
