import { defineKernel, global, type Kernel, type ParamDecls } from '@flash-mla/ptx';
import { beginOverlapped } from '../../kernel-lib/cuda/overlap.ts';
import {
  loadColumns,
  type RowDType,
  type RowLayout,
  storeColumns,
} from '../../kernel-lib/cuda/rows/columns.ts';
import { mappedColumns, mapThreads, placeOf } from '../../kernel-lib/cuda/rows/map.ts';

/** What the code depends on. */
export interface EmbeddingConfig {
  readonly columns: number;
  readonly table: RowLayout<RowDType>;
  readonly out: RowLayout<RowDType>;
}

const params = {
  table: global('u8'),
  ids: global('u32'),
  out: global('u8'),
  entries: 'u32',
  /** Bytes between rows. */
  tableStride: 'u64',
  outStride: 'u64',
  scale: 'f32',
} as const satisfies ParamDecls;

export type EmbeddingParams = typeof params;

/** Ids below 0 are large as unsigned numbers; what is outside the table counts as not there: 0. */
export function buildEmbedding({ columns, table, out }: EmbeddingConfig): Kernel<EmbeddingParams> {
  return defineKernel({ name: 'sm80_embedding', params, block: [mapThreads] }, (k, p) => {
    beginOverlapped(k);
    const { row, column, presence } = mappedColumns(k, columns);
    const id = p.ids.at(row).load();
    const known = id.lt(p.entries);
    const from = placeOf(k, p.table, table, p.tableStride, k.select(known, id, 0, 'u32'), column);
    const values = loadColumns(k, from, table, presence).map((value) =>
      k.select(known, value.mul(p.scale), 0, 'f32'),
    );
    storeColumns(k, placeOf(k, p.out, out, p.outStride, row, column), out, presence, values);
  });
}
