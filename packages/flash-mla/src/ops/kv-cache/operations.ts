/** The operations of the KV cache, as values: kernels of every device are registered for these. */

import { defineOperation } from '../../runtime/operation/operation.ts';
import type { AppendArgs, DequantizeArgs, QuantizeArgs } from './contract.ts';

/** bf16 rows → packed FP8 rows. */
export const quantizeRows = defineOperation<QuantizeArgs>({
  name: 'quantizeKvCache',
  reads: ({ source }) => [source],
  writes: ({ target }) => [target],
});

/** Packed FP8 rows → bf16 rows. */
export const dequantizeRows = defineOperation<DequantizeArgs>({
  name: 'dequantizeKvCache',
  reads: ({ source }) => [source],
  writes: ({ target }) => [target],
});

/** Rows → the tokens of a paged cache that slots name. */
export const appendRows = defineOperation<AppendArgs>({
  name: 'appendKvCache',
  reads: ({ rows, slots }) => [rows, slots],
  writes: ({ kCache }) => [kCache],
});
