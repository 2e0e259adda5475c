import type { PackedRowsName } from '../../runtime/tensor/packed-rows.ts';

/** The three row formats of a sparse decode cache: packed FP8 rows, see `packedRows`, and plain bf16. */
export type KvRowLayout = PackedRowsName | 'bf16';
