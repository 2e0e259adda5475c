import type { Pointer, Value } from '@flash-mla/ptx';
import { metadataWidth, type PartField, partField } from '../schedule/metadata.ts';

/** The row of a part in the tile-scheduler metadata: where each of its fields is. */
export function partRow<T extends 'u32' | 's32'>(
  metadata: Pointer<'global', 's32'>,
  part: Value<T>,
): (field: PartField) => Pointer<'global', 's32'> {
  const row = metadata.at(part.shl(Math.log2(metadataWidth)));
  return (field) => row.at(partField[field]);
}
