import type { Ops, Value } from '@flash-mla/ptx';
import type { Element } from '../../../../kernel-lib/cuda/element.ts';
import { chunkOffset, tileBytesOf } from '../../../../kernel-lib/cuda/sm90/swizzled-tile.ts';
import { type HopperShared, queryThreads, tileColumns } from './tile.ts';
import type { QuerySource } from './work.ts';

/** What a kernel declares for them. */
export type QueryShared = Pick<HopperShared, 'query' | 'queryFull' | 'queryEmpty'>;

/** Threads that copy a 128-byte segment. */
const segmentThreads = 8;

/**
 * Copies a CTA's `rows` query rows to shared memory, and does something `meanwhile`; by the producer's
 * last three warps.
 */
export function fetchQuery(
  k: Ops,
  shared: QueryShared,
  { rows, keyTiles }: { readonly rows: number; readonly keyTiles: number },
  source: QuerySource<Element>,
  phase: Value<'u32'>,
  meanwhile: () => void,
): void {
  k.mbarrierWait(shared.queryEmpty.at(0), phase);
  const thread = k.threadIdx.x.sub(32);
  const chunk = thread.and(segmentThreads - 1);
  const rowsAtOnce = queryThreads / segmentThreads;
  const range = { from: thread.shr(3), to: rows, step: rowsAtOnce, unroll: false } as const;
  k.for(range, (row) => {
    const present = row.lt(source.count);
    const from = source
      .pointer(k.select(present, row, 0))
      .at(chunk.shl(3))
      .folded();
    const to = shared.query.pointer.bytes(chunkOffset(row, chunk)).folded();
    const sourceBytes = k.select(present, 16, 0, 'u32');
    for (let tile = 0; tile < keyTiles; tile++) {
      const target = to.bytes(tile * tileBytesOf(rows));
      k.cpAsync(target, from.at(tile * tileColumns), 16, { sourceBytes });
    }
  });
  meanwhile();
  k.cpAsyncWaitAll();
  k.fenceProxyAsync('shared::cta');
  k.mbarrierArrive(shared.queryFull.at(0));
}
