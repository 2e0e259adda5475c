import { dtypeSize } from '@flash-mla/core';
import { addressOf, extentOf, strideOf } from '../../../runtime/cpu/commands/address.ts';
import { type Command, commandOf } from '../../../runtime/cpu/commands/command.ts';
import type { CommandContext } from '../../../runtime/cpu/commands/context.ts';
import { layoutCode } from '../../kernel-lib/cpu/descriptors.ts';
import type { AppendArgs } from '../contract.ts';
import { appendRows } from './descriptors.ts';
import { jobBytes } from './quantize.ts';

/** See assembly/ops/append.ts. */
export function appendCommand(
  { workers }: CommandContext,
  { layout, rows, slots, kCache }: AppendArgs,
): Command {
  const values = {
    scratchBytes: jobBytes,
    layout: layoutCode[layout],
    numRows: extentOf(rows, 0),
    numHeads: extentOf(rows, 1),
    rowBytes: extentOf(rows, 2) * dtypeSize(rows.dtype),
    rows: addressOf(rows),
    rowStride: strideOf(rows, 0),
    rowHeadStride: strideOf(rows, 1),
    slots: addressOf(slots),
    slotBytes: dtypeSize(slots.dtype),
    cache: addressOf(kCache),
    capacity: extentOf(kCache, 0) * extentOf(kCache, 1),
    pageSize: extentOf(kCache, 1),
    blockStride: strideOf(kCache, 0),
    tokenStride: strideOf(kCache, 1),
    headStride: strideOf(kCache, 2),
  };
  return commandOf(appendRows, values, { workspaceBytes: workers * jobBytes });
}
