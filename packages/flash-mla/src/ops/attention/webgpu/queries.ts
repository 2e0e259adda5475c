import { type AttentionConfig, attentionShape, invocations, lanes } from './config.ts';
import type { Work } from './work.ts';

/** One query element as float32. */
export function queryReader({ query }: AttentionConfig): string {
  if (query === 'e4m3') {
    return `fn queryAt(element: u32) -> f32 {
      return e4m3Quad((queries[element >> 2u] >> (8u * (element & 3u))) & 0xffu).x * E4M3_GAIN;
    }`;
  }
  return `fn queryAt(element: u32) -> f32 {
    return ${query}Pair((queries[element >> 1u] >> (16u * (element & 1u))) & 0xffffu).x;
  }`;
}

/** Fills `queryRow` and `outputRow`; rows that do not exist are nowhere. */
export function placeRows(config: AttentionConfig, work: Work): string {
  return `
    if (thread < ${config.rows}u) {
      let row = firstRow + thread;
      let exists = row < ${work.rowCount};
      queryRow[thread] = select(NOWHERE, ${work.queryBase('row')}, exists);
      outputRow[thread] = select(NOWHERE, ${work.outputRow('row')}, exists);
    }
    workgroupBarrier();`;
}

/**
 * Puts the queries into workgroup memory, scaled for a softmax in base 2. A vector holds one column of
 * up to four rows; the four lanes of a quad find theirs side by side.
 */
export function stageQueries(config: AttentionConfig): string {
  const { vectors, width, queryOffsets } = attentionShape(config);
  return config.keys.parts
    .map((part, p) => {
      const padded = Math.ceil(part.units / lanes) * lanes * part.unitColumns;
      return `
        for (var item = thread; item < ${padded * vectors}u; item += ${invocations}u) {
          let column = item % ${padded}u;
          let vector = item / ${padded}u;
          let unit = column / ${part.unitColumns}u;
          var value = Vector();
          for (var k = 0u; k < ${width}u; k++) {
            let at = queryRow[vector * ${width}u + k];
            if (at != NOWHERE${padded > part.columns ? ` && column < ${part.columns}u` : ''}) {
              value${width === 1 ? '' : '[k]'} = queryAt(at + ${part.firstColumn}u + column) * scale;
            }
          }
          let place = (unit / ${lanes}u * ${part.unitColumns}u + column % ${part.unitColumns}u) * ${vectors}u + vector;
          pool[${queryOffsets[p]}u + place * ${lanes}u + unit % ${lanes}u] = value;
        }`;
    })
    .join('\n');
}
