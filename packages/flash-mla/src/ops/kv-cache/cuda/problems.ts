/** What kernel selection sees of a call: plain, printable data, no addresses and no tensors. */

import type { Placement } from '../../../runtime/cuda/placement.ts';

/** Problem of `quantizeKvCache` and `dequantizeKvCache`. */
export interface PackRowsProblem {
  readonly layout: 'v32' | 'model1';
  readonly numBlocks: number;
  readonly pageSize: number;
  readonly headDimQk: number;
  /** The packed side: bytes between blocks and, `v32`, between rows. */
  readonly packed: Placement;
  /** The bf16 side, which is contiguous. */
  readonly rows: Placement;
}

/** Problem of `appendKvCache`. */
export interface AppendProblem {
  readonly layout: 'v32' | 'model1' | 'plain';
  /** That of the rows; a plain cache has the same. */
  readonly rowDtype: 'bf16' | 'f16' | 'e4m3';
  readonly numRows: number;
  readonly numHeads: number;
  /** Of a row as it is given. */
  readonly columns: number;
  readonly slotBytes: 4 | 8;
  readonly numBlocks: number;
  readonly pageSize: number;
  /** Strides (n, head). */
  readonly rows: Placement;
  /** Strides (block, token, head): bytes for packed rows. */
  readonly kCache: Placement;
}
