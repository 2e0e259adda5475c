/** From the arguments of a call to what kernel selection sees of it. */

import { dtypeSize } from '@flash-mla/core';
import { extent, placementOf } from '../../../runtime/cuda/placement.ts';
import type { TensorView } from '../../../runtime/tensor/view.ts';
import { placementOfCache } from '../../kernel-lib/cuda/placement-of-cache.ts';
import type { AppendArgs, DequantizeArgs, QuantizeArgs } from '../contract.ts';
import type { AppendProblem, PackRowsProblem } from './problems.ts';

export function quantizeProblem({ layout, source, target }: QuantizeArgs): PackRowsProblem {
  return packRows(layout, target, source);
}

export function dequantizeProblem({ layout, source, target }: DequantizeArgs): PackRowsProblem {
  return packRows(layout, source, target);
}

function packRows(
  layout: PackRowsProblem['layout'],
  packed: TensorView,
  rows: TensorView,
): PackRowsProblem {
  return {
    layout,
    numBlocks: extent(rows, 0),
    pageSize: extent(rows, 1),
    headDimQk: extent(rows, 3),
    packed: placementOfCache(packed, layout),
    rows: placementOf(rows, [0, 1]),
  };
}

export function appendProblem({ layout, rows, slots, kCache }: AppendArgs): AppendProblem {
  return {
    layout,
    rowDtype: rows.dtype as AppendProblem['rowDtype'],
    numRows: extent(rows, 0),
    numHeads: extent(rows, 1),
    columns: extent(rows, 2),
    slotBytes: dtypeSize(slots.dtype) as 4 | 8,
    numBlocks: extent(kCache, 0),
    pageSize: extent(kCache, 1),
    rows: placementOf(rows, [0, 1]),
    kCache: layout === 'plain' ? placementOf(kCache, [0, 1, 2]) : placementOfCache(kCache, layout),
  };
}
