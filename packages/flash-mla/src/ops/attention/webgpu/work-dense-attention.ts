import type { AttentionConfig } from './config.ts';
import { list, placeNothing, type Work } from './work.ts';

/**
 * Keys and values of a request, packed or paged, for rows that share a KV head: row = query position ·
 * group + g. Requests whose queries end before a workgroup's rows have nothing for it to do.
 */
export function denseAttentionWork(config: AttentionConfig): Work {
  const { rows, causal, lists } = config;
  const paged = lists.includes('seqlensK');
  const position = (row: string) => `(${row}) / params.group`;
  const head = (row: string) => `(head * params.group + (${row}) % params.group)`;
  /** Offsets out of range count as the nearest that is in range. */
  const offset = (name: string, index: string, total: string) =>
    `u32(clamp(${list(config, name, index)}, 0, i32(params.${total})))`;
  const own = lists.includes('cuSeqlensQ');
  return {
    results: 'final',
    maxLogits: false,
    params: {
      items: 'u32',
      rowTiles: 'u32',
      numHeadsKv: 'u32',
      numHeadsQ: 'u32',
      group: 'u32',
      totalQ: 'u32',
      maxSeqLenQ: 'u32',
      ...Object.fromEntries(lists.map((name) => [name, 'u32' as const])),
      ...(lists.includes('blockTable') && { tableStride: 'u32' }),
      ...(!paged && { totalK: 'u32' }),
      ...(paged && {
        capacity: 'u32',
        page: 'u32',
        numBlocks: 'u32',
        keyBlock: 'u32',
        valueBlock: 'u32',
      }),
      query: 'u32',
      queryPosition: 'u32',
      queryHead: 'u32',
      keys: 'u32',
      keyRow: 'u32',
      keyHead: 'u32',
      values: 'u32',
      valueRow: 'u32',
      valueHead: 'u32',
      output: 'u32',
      lse: 'u32',
      scale: 'f32',
    },
    lists,
    outputs: [
      { name: 'output', access: 'read_write', element: 'u32' },
      { name: 'lse', access: 'read_write', element: 'u32' },
    ],
    body: (piece) => `
      let item = workgroup.x + workgroup.y * workgroups.x;
      if (item >= params.items) { return; }
      let firstRow = item % params.rowTiles * ${rows}u;
      let head = item / params.rowTiles % params.numHeadsKv;
      let request = item / (params.rowTiles * params.numHeadsKv);
      let firstQuery = ${own ? offset('cuSeqlensQ', 'request', 'totalQ') : 'request * params.maxSeqLenQ'};
      let seqLenQ = ${own ? `min(max(${offset('cuSeqlensQ', 'request + 1u', 'totalQ')}, firstQuery) - firstQuery, params.maxSeqLenQ)` : 'params.maxSeqLenQ'};
      if (firstRow >= seqLenQ * params.group) { return; }
      ${
        paged
          ? `let firstKey = 0u;
            let tokens = u32(clamp(${list(config, 'seqlensK', 'request')}, 0, i32(params.capacity)));`
          : `let firstKey = ${offset('cuSeqlensK', 'request', 'totalK')};
            let tokens = max(${offset('cuSeqlensK', 'request + 1u', 'totalK')}, firstKey) - firstKey;`
      }
      let scale = params.scale;
      let begin = 0u;
      let end = ${
        causal
          ? // The last row of the workgroup sees the most.
            `u32(clamp(i32(tokens + (firstRow + ${rows - 1}u) / params.group + 1u) - i32(seqLenQ), 0, i32(tokens)))`
          : 'tokens'
      };
      ${piece}`,
    rowCount: 'seqLenQ * params.group',
    queryBase: (row) =>
      `params.query + (firstQuery + ${position(row)}) * params.queryPosition + ${head(row)} * params.queryHead`,
    ...(causal && {
      limit: (row: string) => `u32(max(0, i32(tokens + ${position(row)} + 1u) - i32(seqLenQ)))`,
    }),
    locate: paged
      ? `let block = ${lists.includes('blockTable') ? `u32(${list(config, 'blockTable', 'request * params.tableStride + token / params.page')})` : 'request'};
        if (token < end && block < params.numBlocks) {
          keyAt[slot] = params.keys + block * params.keyBlock + token % params.page * params.keyRow + head * params.keyHead;
          valueAt[slot] = params.values + block * params.valueBlock + token % params.page * params.valueRow + head * params.valueHead;
        } else {
          ${placeNothing(config)}
        }`
      : `if (token < end) {
          keyAt[slot] = params.keys + (firstKey + token) * params.keyRow + head * params.keyHead;
          valueAt[slot] = params.values + (firstKey + token) * params.valueRow + head * params.valueHead;
        } else {
          ${placeNothing(config)}
        }`,
    outputRow: (row) => `(firstQuery + ${position(row)}) * params.numHeadsQ + ${head(row)}`,
    lseIndex: (row) => `${head(row)} * params.totalQ + firstQuery + ${position(row)}`,
  };
}
