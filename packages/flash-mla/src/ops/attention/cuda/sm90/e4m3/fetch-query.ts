import type { Ops, Value } from '@flash-mla/ptx';
import { headDimQk, queryThreads } from '../dense/tile.ts';
import type { QuerySource } from '../dense/work.ts';
import { inKeyOrder } from './key-fragments.ts';
import type { E4m3Shared, E4m3Tile } from './tile.ts';

/** Columns that a thread loads at once. */
const chunk = 16;
const chunksPerRow = headDimQk / chunk;
/** Loads of a thread that are under way together. */
const loadsAtOnce = 6;

/**
 * Brings the query rows to shared memory, as f16, and does something `meanwhile`; by the producer's last
 * three warps.
 */
export function fetchQuery(
  k: Ops,
  shared: E4m3Shared,
  { rows }: E4m3Tile,
  source: QuerySource<'e4m3'>,
  phase: Value<'u32'>,
  meanwhile: () => void,
): void {
  k.mbarrierWait(shared.queryEmpty.at(0), phase);
  const range = { from: k.threadIdx.x.sub(32), to: rows * chunksPerRow } as const;
  const step = queryThreads * loadsAtOnce;
  k.for({ ...range, step, unroll: false }, (first) => {
    const loaded = Array.from({ length: loadsAtOnce }, (_, i) => {
      const index = first.add(i * queryThreads);
      const row = index.div(chunksPerRow);
      const column = index.sub(row.mul(chunksPerRow)).mul(chunk);
      const isThere = row.lt(source.count);
      const from = source.pointer(k.select(isThere, row, 0)).at(column);
      const words = from
        .as('b32')
        .loadVec(4)
        .map((word) => k.select<'b32'>(isThere, word, 0));
      return { row, column, words };
    });
    for (const { row, column, words } of loaded) {
      const to = shared.query.row(row);
      inKeyOrder(k, words).forEach((run, half) => {
        to.at(column.add(half * (chunk / 2)))
          .as('b32')
          .storeVec(run);
      });
    }
  });
  meanwhile();
  k.fenceProxyAsync('shared::cta');
  k.mbarrierArrive(shared.queryFull.at(0));
}
