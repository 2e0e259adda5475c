import type { Ops, Pointer, Value } from '@flash-mla/ptx';
import type { Element } from '../../../../kernel-lib/cuda/element.ts';
import { type Alignment, copyRow, segmentChunks } from '../../../../kernel-lib/cuda/sm80/copy.ts';
import { type Pages, pageTable } from '../mla/page-table.ts';
import { type MhaShared, type MhaTile, mhaShape } from './tile.ts';

/** Rows of keys or of values of one KV head. */
export interface TokenRows {
  /** The request's first token; the cache's first where there is a block table. */
  readonly first: Pointer<'global', Element>;
  /** Elements between pages and between tokens. */
  readonly pageStride: Value<'u64'>;
  readonly tokenStride: Value<'u64'>;
  readonly alignment: Alignment;
}

/** The keys and values of a request, one after another or in pages. */
export interface RequestTokens {
  readonly keys: TokenRows;
  readonly values: TokenRows;
  readonly length: Value<'u32'>;
  readonly paged?: Omit<Pages, 'length'> | undefined;
}

/** Copies tiles of keys and values to shared memory. */
export interface TokenTiles {
  /** Reads what the fetches of this tile will need to know; it may lie beyond the last. */
  seek(tile: Value<'u32'>): void;
  /** Start copying the tile that was sought last. */
  fetchKeys(tile: Value<'u32'>, stage: Value<'u32'>): void;
  fetchValues(tile: Value<'u32'>, stage: Value<'u32'>): void;
}

/** The rows of a tile that a thread copies a share of: eight threads share a row. */
function threadRows(k: Ops, tile: MhaTile, count: number): Value<'u32'>[] {
  const first = k.threadIdx.x.shr(Math.log2(segmentChunks));
  const rowsAtOnce = mhaShape(tile).threads / segmentChunks;
  return Array.from({ length: count / rowsAtOnce }, (_, i) => first.add(i * rowsAtOnce));
}

export function tokenTiles(
  k: Ops,
  tile: MhaTile,
  shared: MhaShared,
  { keys, values, length, paged }: RequestTokens,
): TokenTiles {
  const { widthQk, widthV } = mhaShape(tile);
  const { keys: keyTiles, values: valueTiles } = shared.tiles.stages;
  const chunk = k.threadIdx.x.and(segmentChunks - 1);
  const rows = threadRows(k, tile, tile.tokens);
  const table = paged && pageTable(k, tile.tokens, { ...paged, length }, rows, shared);

  const locate = (t: Value<'u32'>, i: number, source: TokenRows) => {
    if (table === undefined) {
      const token = t.mul(tile.tokens).add(rows[i]);
      const from = source.first.at(k.widen(token).mul(source.tokenStride));
      return { present: token.lt(length), from };
    }
    const { present, page, within } = table.locate(t, i);
    const from = source.first
      .at(k.widen(page).mul(source.pageStride))
      .at(k.widen(within).mul(source.tokenStride));
    return { present, from };
  };
  return {
    seek: (t) => table?.seek(t),
    fetchKeys(t, stage) {
      table?.note(t, stage);
      rows.forEach((row, i) => {
        const to = keyTiles.row(stage, row);
        const size = { columns: tile.headDimQk, begin: 0, end: widthQk, alignment: keys.alignment };
        copyRow(k, { to, chunk, ...locate(t, i, keys), ...size });
      });
    },
    fetchValues(t, stage) {
      rows.forEach((row, i) => {
        const to = valueTiles.row(stage, row);
        const size = { columns: tile.headDimV, begin: 0, end: widthV, alignment: values.alignment };
        copyRow(k, { to, chunk, ...locate(t, i, values), ...size });
      });
    },
  };
}

/** Where a CTA's query rows are. */
export interface QueryRows {
  readonly alignment: Alignment;
  /** Rows that exist, at least one; the CTA's others are zeros. */
  readonly count: Value<'u32'>;
  /** First element of a row of the CTA. */
  pointer(row: Value<'u32'>): Pointer<'global', Element>;
}

/** Starts copying the query rows to shared memory. */
export function fetchQueries(k: Ops, tile: MhaTile, shared: MhaShared, queries: QueryRows): void {
  const { rows, widthQk } = mhaShape(tile);
  const target = tile.query === 'shared' ? shared.query : shared.tiles.passing;
  const chunk = k.threadIdx.x.and(segmentChunks - 1);
  for (const row of threadRows(k, tile, rows)) {
    const present = row.lt(queries.count);
    const from = queries.pointer(k.select(present, row, 0));
    const size = { columns: tile.headDimQk, begin: 0, end: widthQk, alignment: queries.alignment };
    copyRow(k, { to: target.row(row), from, chunk, present, ...size });
  }
}
