import { defineKernel, type Kernel } from '@flash-mla/ptx';
import { loadRow, packRow } from './packed/pack-row.ts';
import {
  type PackRowsConfig,
  type PackRowsParams,
  packRowsParams,
  packThreads,
  warpToken,
} from './packed/token.ts';

/**
 * Packs bf16 rows as FP8 rows, bit for bit like `encodePackedRow`. Grid: (⌈tokens / 8⌉). Reads
 * 2 bytes and writes about 1 a value, and does little else.
 */
export function buildQuantizeKvCache(config: PackRowsConfig): Kernel<PackRowsParams> {
  const options = {
    name: 'sm80_quantize_kv_cache',
    params: packRowsParams,
    block: [packThreads],
  } as const;
  return defineKernel(options, (k, p) => {
    const token = warpToken(k, config, p);
    packRow(k, config, loadRow(k, config, token.row), token);
  });
}
