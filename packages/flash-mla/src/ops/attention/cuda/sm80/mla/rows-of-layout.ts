import type { Ops, Value } from '@flash-mla/ptx';
import { packedFormats } from '../../../../kernel-lib/cuda/packed-formats.ts';
import type { Alignment } from '../../../../kernel-lib/cuda/sm80/copy.ts';
import type { KvRowLayout } from '../../../../kernel-lib/row-layout.ts';
import { directKeys, directRows } from './direct-keys.ts';
import type { KeySource, RowLookup } from './keys.ts';
import { packedKeys, packedRow } from './packed-keys.ts';
import type { WarpPlace } from './place.ts';
import type { MlaShared } from './shared.ts';
import type { MlaTile } from './tile.ts';

/** Key rows in the format of a cache, found by the lookup that `find` makes for a thread's rows. */
export function keysOfLayout(
  k: Ops,
  tile: MlaTile,
  shared: MlaShared,
  place: WarpPlace,
  layout: KvRowLayout,
  alignment: Alignment,
  find: (rows: readonly Value<'u32'>[]) => RowLookup,
): KeySource {
  if (layout === 'bf16') {
    return directKeys(k, tile, shared, place, find(directRows(tile, place)), alignment);
  }
  const lookup = find([packedRow(tile, place)]);
  return packedKeys(k, tile, shared, place, lookup, packedFormats[layout], alignment);
}
