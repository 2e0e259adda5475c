import type { Ops, ParamValues } from '@flash-mla/ptx';
import type { Piece } from '../../pieces.ts';
import { partBarrier } from '../dense/ring.ts';
import { keyParts, tileBytes, valueTiles, warpGroupThreads } from '../dense/tile.ts';
import type { SparseParams } from './params.ts';
import { producerPlace, publish, warpOf } from './place.ts';
import { QueryRows } from './query.ts';
import { ringCounter } from './ring.ts';
import { type CacheCode, RowFinder } from './rows.ts';
import { publishTarget } from './target.ts';
import {
  isStaged,
  keyTilesOf,
  model1RopePart,
  partsInRegisters,
  producerBarrier,
  ropePart,
  type SparseShared,
  valueParts,
} from './tile.ts';
import { ValueRows } from './values.ts';
import type { PiecePicks, SparseWork } from './work.ts';

const stageBytes = (valueTiles + 1) * tileBytes;

/** Gathers, converts and publishes keys and queries of all pieces; by the producer's four warps. */
export function produce(
  k: Ops,
  shared: SparseShared,
  p: ParamValues<SparseParams>,
  work: SparseWork,
  cache: CacheCode,
): void {
  const place = producerPlace(k);
  const ring = ringCounter(k);
  const rows = new RowFinder(k, p, cache, place);
  const values = new ValueRows(k, shared, place, cache.layout);
  const query = new QueryRows(k, shared, place, keyTilesOf(cache.layout));
  const hasRopePart = cache.layout === 'v32';
  const parity = k.var('u32', 1).named('pass_parity');
  const isWide = k.var('pred', false);
  const bad = k.var('pred', false).named('bad');

  /** Copies a block's rope values, which need no conversion, once their place is free. */
  const copyRope = () => {
    // In model1 their place is the thread's own: they are converted from there.
    if (hasRopePart)
      k.mbarrierWait(
        partBarrier(shared.empty, ring.stage, keyParts[ropePart].released),
        ring.parity,
      );
    values.copyRope(rows, ring.stage.mul(stageBytes));
  };

  /**
   * Converts a block part by part. Its last parts come while the first are converted, and the first of the next
   * block while the last are.
   */
  const convertBlock = (picks: PiecePicks) => {
    const stage = ring.stage.mul(stageBytes);
    for (const released of new Set(keyParts.slice(0, valueParts).map((part) => part.released))) {
      k.mbarrierWait(partBarrier(shared.empty, ring.stage, released), ring.parity);
    }
    values.stage(rows, stage);
    for (let part = 0; part < valueParts; part++) {
      if (part === partsInRegisters) {
        k.cpAsyncWait(0);
        // Lanes read scales that others have copied.
        k.syncWarp();
      }
      const convertsRope = !hasRopePart && part === model1RopePart;
      k.if(
        isWide,
        () => {
          values.convert(part, stage, 'bf16');
          if (convertsRope) values.convertRope(stage, 'bf16', bad);
        },
        () => {
          values.check(part, bad);
          values.convert(part, stage, 'f16');
          if (convertsRope) values.convertRope(stage, 'f16', bad);
        },
        { uniform: true },
      );
      if (part === 0) {
        k.if(k.electSync(), () => {
          shared.present.at(ring.stage, warpOf(place)).store(rows.present.as('u32'));
        });
      }
      publish(k, partBarrier(shared.full, ring.stage, part));
      if (part === 0) rows.advance(picks);
      if (!isStaged(part)) values.load(rows, part);
    }
    if (hasRopePart) publish(k, partBarrier(shared.full, ring.stage, ropePart));
  };

  const pass = (piece: Piece, picks: PiecePicks) => {
    const { from, to } = picks;
    // What depends on indices comes behind the queries, which depend on nothing.
    rows.begin(picks);
    query.copy(work.queryOf(piece), parity);
    query.publish();
    rows.first(picks);
    for (let part = 0; part < partsInRegisters; part++) values.load(rows, part);
    copyRope();
    const left = k.var('u32', to.sub(from)).named('blocks_left');
    k.loop(
      (loop) => {
        convertBlock(picks);
        ring.advance();
        left.addTo(-1);
        loop.breakIf(left.eq(0));
        copyRope();
      },
      { uniform: true, name: 'block', unroll: false },
    );
  };

  work.forEachPiece((piece) => {
    const picks = work.picksOf(piece);
    isWide.set(false);
    k.loop(
      (loop) => {
        bad.set(false);
        pass(piece, picks);
        // Consumers have long since looked at the queries, but for passes of a block or two.
        k.mbarrierWait(shared.queryJudged.at(0), parity.xor(1));
        bad.set(bad.or(shared.queryMisfits.at(0).load().ne(0)));
        const again = k.barrierAny(bad, producerBarrier, warpGroupThreads);
        k.if(k.threadIdx.x.eq(0), () => {
          publishTarget(k, shared, piece, parity.xor(1), again);
        });
        parity.set(parity.xor(1));
        isWide.set(true);
        loop.breakIf(again.not());
      },
      { uniform: true, name: 'pass', unroll: false },
    );
  });
}
