import type { Ops, Pointer, Value } from '@flash-mla/ptx';
import { headDimQk, queryThreads } from '../hopper/tile.ts';
import { type E4m3Shared, type E4m3Tile, keyTiles, tileColumns } from './tile.ts';

/** Where a CTA's query rows are; each is aligned to 16 bytes. */
export interface QuerySource {
  /** Rows that exist; the CTA's others are zeros. */
  readonly count: Value<'u32'>;
  pointer(row: Value<'u32'>): Pointer<'global', 'e4m3'>;
}

const chunkBytes = 16;
/** Threads that copy the 128 bytes of a row in a tile. */
const segmentThreads = tileColumns / chunkBytes;

/** Copies the query rows to shared memory; by the producer's last three warps. */
export function fetchQuery(
  k: Ops,
  shared: E4m3Shared,
  { rows }: E4m3Tile,
  source: QuerySource,
  parity: Value<'u32'>,
): void {
  k.mbarrierWait(shared.queryEmpty.at(0), parity);
  const thread = k.threadIdx.x.sub(32);
  const chunk = thread.and(segmentThreads - 1);
  const step = queryThreads / segmentThreads;
  k.for({ from: thread.shr(3), to: rows, step, unroll: false }, (row) => {
    const present = row.lt(source.count);
    const from = source
      .pointer(k.select(present, row, 0))
      .at(chunk.mul(chunkBytes))
      .folded();
    const within = row.shl(7).add(chunk.xor(row.and(7)).shl(4));
    const to = shared.query.pointer.bytes(within).folded();
    const sourceBytes = k.select(present, chunkBytes, 0, 'u32');
    for (let tile = 0; tile < keyTiles; tile++) {
      const first = tile * tileColumns;
      const copy = () => {
        k.cpAsync(to.bytes(first * rows), from.at(first), chunkBytes, { sourceBytes });
      };
      const chunks = (headDimQk - first) / chunkBytes;
      if (chunks >= segmentThreads) copy();
      else k.if(chunk.lt(chunks), copy);
    }
  });
  k.cpAsyncWaitAll();
  k.fenceProxyAsync('shared::cta');
  k.mbarrierArrive(shared.queryFull.at(0));
}
