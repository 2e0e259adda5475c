import type { Ops, Value } from '@flash-mla/ptx';
import {
  type Alignment,
  copyRowInSteps,
  segmentChunks,
} from '../../../../kernel-lib/cuda/sm80/copy.ts';
import type { KeySource, RowLookup } from './keys.ts';
import { biasSlot } from './mask.ts';
import type { WarpPlace } from './place.ts';
import type { MlaShared } from './shared.ts';
import { ctaThreads, type MlaTile, tileShape } from './tile.ts';

const rowsAtOnce = ctaThreads / segmentChunks;

/** The rows of a tile that a thread copies a share of: eight threads share a row. */
export function directRows(tile: MlaTile, place: WarpPlace): Value<'u32'>[] {
  const first = place.thread.shr(Math.log2(segmentChunks));
  return Array.from({ length: tile.tokens / rowsAtOnce }, (_, i) => first.add(i * rowsAtOnce));
}

/** Key rows that are copied as they are. */
export function directKeys(
  k: Ops,
  tile: MlaTile,
  shared: MlaShared,
  place: WarpPlace,
  lookup: RowLookup,
  alignment: Alignment,
): KeySource {
  const { width } = tileShape(tile);
  const chunk = place.thread.and(segmentChunks - 1);
  const rows = directRows(tile, place);
  return {
    seek: lookup.seek,
    *fetch(t, stage, wanted) {
      lookup.note?.(t, stage);
      for (const [i, row] of rows.entries()) {
        const { present, from } = lookup.locate(t, i);
        if (tile.gathered) {
          const bias = k.select<'f32'>(present, 0, Number.NEGATIVE_INFINITY, 'f32');
          k.if(chunk.eq(0), () => shared.tokenBias.at(biasSlot(tile, t, stage), row).store(bias));
        }
        const to = shared.keys.row(stage, row);
        const columns = { begin: 0, end: width, columns: tile.headDimQk };
        const copy = { to, from: from.as(tile.element), chunk, alignment, present, ...columns };
        yield* copyRowInSteps(k, copy, wanted);
      }
    },
  };
}
