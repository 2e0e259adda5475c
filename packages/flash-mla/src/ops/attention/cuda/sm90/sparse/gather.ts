import { type Ops, type ParamValues, Pointer, type Value } from '@flash-mla/ptx';
import type { Piece } from '../../pieces.ts';
import { partBarrier } from '../dense/ring.ts';
import { keyParts, keyTiles, tileBytes } from '../dense/tile.ts';
import type { SparseParams } from './params.ts';
import { producerPlace, warpOf } from './place.ts';
import { QueryRows } from './query.ts';
import { ringCounter } from './ring.ts';
import { type CacheCode, RowFinder } from './rows.ts';
import { publishTarget } from './target.ts';
import { laneTokens, partBytes, type SparseShared, tokensAtOnce, warpTokens } from './tile.ts';
import type { PiecePicks, SparseWork } from './work.ts';

const stageBytes = keyTiles * tileBytes;

/**
 * Gathers rows of bf16 and queries of all pieces; by the producer's four warps. Nothing is converted, so
 * nothing is waited for but room: barriers complete by themselves when the copies have come.
 */
export function gather(
  k: Ops,
  shared: SparseShared,
  p: ParamValues<SparseParams>,
  work: SparseWork,
  cache: CacheCode,
): void {
  const place = producerPlace(k);
  const ring = ringCounter(k);
  const rows = new RowFinder(k, p, cache, place);
  const query = new QueryRows(k, shared, place, keyTiles, 'of rows');
  const parity = k.var('u32', 1).named('piece_parity');
  const never = k.var('pred', false);
  const row = k.mad(warpOf(place), warpTokens, place.firstToken);
  const within = place.chunk.xor(place.firstToken).shl(4);
  const start = shared.keys.pointer.bytes(row.shl(7).add(within)).folded().as('u8');

  const copyBlock = () => {
    const even = start.bytes(ring.stage.mul(stageBytes)).folded();
    // Four tokens further chunks are swapped by fours.
    const odd = new Pointer('shared', 'u8', even.base.xor(4 << 4));
    const copies = Array.from({ length: laneTokens }, (_, i) => {
      const bit = place.firstToken.add(i * tokensAtOnce);
      const isPresent = rows.present.shr(bit).and(1).ne(0);
      return {
        from: rows.share(i).folded(),
        to: (i % 2 === 0 ? even : odd).bytes(i * tokensAtOnce * partBytes),
        sourceBytes: k.select(isPresent, 16, 0, 'u32') as Value<'u32'>,
      };
    });
    keyParts.forEach(({ first, tiles, released }, part) => {
      if (released !== keyParts[part - 1]?.released) {
        k.mbarrierWait(partBarrier(shared.empty, ring.stage, released), ring.parity);
      }
      for (let tile = first; tile < first + tiles; tile++) {
        for (const { from, to, sourceBytes } of copies) {
          k.cpAsync(to.bytes(tile * tileBytes), from.bytes(tile * partBytes), 16, { sourceBytes });
        }
      }
      const full = partBarrier(shared.full, ring.stage, part);
      if (part === 0) {
        k.if(k.electSync(), () => {
          shared.present.at(ring.stage, warpOf(place)).store(rows.present.as('u32'));
          k.mbarrierArrive(full);
        });
      }
      k.cpAsyncArrive(full);
    });
  };

  const gatherPiece = (piece: Piece, picks: PiecePicks) => {
    const { from, to } = picks;
    rows.begin(picks);
    query.copy(work.queryOf(piece), parity);
    query.publish();
    rows.first(picks);
    const left = k.var('u32', to.sub(from)).named('blocks_left');
    k.loop(
      (loop) => {
        copyBlock();
        ring.advance();
        left.addTo(-1);
        loop.breakIf(left.eq(0));
        rows.advance(picks);
      },
      { uniform: true, name: 'block', unroll: false },
    );
  };

  work.forEachPiece((piece) => {
    gatherPiece(piece, work.picksOf(piece));
    k.if(k.threadIdx.x.eq(0), () => publishTarget(k, shared, piece, parity.xor(1), never));
    parity.set(parity.xor(1));
  });
}
