import type { Ops, Value, Var } from '@flash-mla/ptx';
import { partBarrier } from '../dense/ring.ts';
import { keyParts, tileBytes, tileTokens } from '../dense/tile.ts';
import { publish } from '../sparse/place.ts';
import type { Params } from './params.ts';
import { type PrefillShared, stageWarps, tokenLanes, tokensAtOnce, warpTokens } from './tile.ts';
import { forEachWork, indicesOf, type PrefillWork } from './work.ts';

/** Marks an entry that names no row. */
const noRow = 2 ** 32 - 1;

/**
 * Gathers the rows that queries pick, and fetches the queries; by the producer's four warps. Two of them
 * fill a stage: they wait for their copies before they say that keys are there, and that costs nothing,
 * because their stage is not free before those keys were used.
 */
export function produce(k: Ops, shared: PrefillShared, p: Params, keyTiles: number): void {
  const lane = k.laneId;
  const warp = k.shuffle(k.threadIdx.x.shr(5), 0);
  const stage = warp.shr(Math.log2(stageWarps)).named('stage');
  const half = warp.and(stageWarps - 1);
  const parts = keyParts.filter(({ first }) => first < keyTiles);
  const chunk = lane.and(tokenLanes - 1);
  const firstToken = lane.shr(Math.log2(tokenLanes));
  /** Where the lane's chunk of its first token goes; the tokens 4 and 12 further have another swizzle. */
  const row = k.mad(half, warpTokens, firstToken);
  const start = shared.keys.tile(stage, 0).bytes(row.shl(7));
  const even = start.bytes(chunk.xor(firstToken).shl(4)).folded();
  const odd = start.bytes(chunk.xor(firstToken).xor(4).shl(4)).folded();
  /** Blocks of the work before. */
  const done = k.var('u32', 0).named('blocks_done');
  const queryParity = k.var('u32', 1).named('query_parity');

  forEachWork(k, p, (work) => {
    // Which of the work's blocks is the stage's first.
    const first = done.xor(stage).and(1);
    const indices = indicesOf(k, p, work);
    const cache = p.kv.at(k.widen(work.headKv).mul(p.headStride)).at(chunk.shl(3)).folded();
    const position = k.var('u32', k.mad(first, tileTokens, k.mad(half, warpTokens, lane)));
    const index = k.var('s32', -1).named('index');
    const seek = () => {
      index.set(indices.at(position).loadIf(position.lt(work.length), -1, { nc: true }));
      position.addTo(2 * tileTokens);
    };
    seek();
    // By warps that have nothing to gather for the first block.
    const fetches = first.eq(1).and(half.eq(0));
    k.if(fetches, () => fetchQuery(k, shared, p, work, keyTiles, queryParity), { uniform: true });
    const range = { from: first, to: work.blocks, step: 2, name: 'block' } as const;
    k.for({ ...range, uniform: true, unroll: false }, (block) => {
      const own = k.copy(k.select<'u32'>(index.as('u32').lt(p.seqLenKv), index.as('u32'), noRow));
      const present = k.ballot(own.ne(noRow));
      seek();
      const rows = Array.from({ length: warpTokens / tokensAtOnce }, (_, i) => {
        const token = k.shuffle(own, firstToken.add(i * tokensAtOnce));
        const isThere = token.ne(noRow);
        return {
          from: cache.at(k.mulWide(k.select<'u32'>(isThere, token, 0), p.rowStride)).folded(),
          sourceBytes: k.copy(k.select(isThere, 16, 0, 'u32')),
          to: (i % 2 === 0 ? even : odd).bytes(i * tokensAtOnce * 128),
        };
      });
      const parity = done.add(block).shr(1).and(1).xor(1).named('parity');
      parts.forEach(({ first: tile, tiles, released }, n) => {
        if (released !== parts[n - 1]?.released) {
          k.mbarrierWait(partBarrier(shared.empty, stage, released), parity);
        }
        for (const { from, to, sourceBytes } of rows) {
          for (let t = tile; t < tile + tiles; t++) {
            k.cpAsync(to.bytes(t * tileBytes), from.at(t * 64), 16, { sourceBytes });
          }
        }
        k.cpAsyncCommit();
      });
      parts.forEach((_, n) => {
        k.cpAsyncWait(parts.length - 1 - n);
        if (n === 0) notePresent(k, shared, stage, half, present);
        publish(k, partBarrier(shared.full, stage, n));
      });
    });
    done.set(done.add(work.blocks));
    // No warp goes on before the queries are on their way: two phases ahead it would mistake one for another.
    k.mbarrierWait(shared.queryEmpty.at(0), queryParity);
    queryParity.set(queryParity.xor(1));
  });
}

/** Says which of a warp's tokens are there. */
function notePresent(
  k: Ops,
  shared: PrefillShared,
  stage: Value<'u32'>,
  half: Value<'u32'>,
  present: Value<'b32'>,
): void {
  const to = shared.present.at(stage, half.shl(1)).as('b32');
  k.if(k.electSync(), () => to.store(present));
}

/** Copies the work's heads, once there is room for them. */
function fetchQuery(
  k: Ops,
  shared: PrefillShared,
  p: Params,
  { query, firstHead }: PrefillWork,
  keyTiles: number,
  parity: Var<'u32'>,
): void {
  k.mbarrierWait(shared.queryEmpty.at(0), parity);
  k.if(k.electSync(), () => {
    const full = shared.queryFull.at(0);
    k.mbarrierArriveExpectTx(full, keyTiles * tileBytes);
    k.tensorLoad(shared.query.pointer, p.q, [0, firstHead, query, 0], full);
  });
}
