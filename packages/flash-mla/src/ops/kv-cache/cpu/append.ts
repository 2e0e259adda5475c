import { dtypeSize } from '@flash-mla/core';
import {
  addressOf,
  extentOf,
  layoutCode,
  strideOf,
} from '../../../runtime/cpu/commands/address.ts';
import type { Command } from '../../../runtime/cpu/commands/command.ts';
import type { AppendArgs } from '../contract.ts';

/** See assembly/ops/append.ts. */
export function appendCommand({ layout, rows, slots, kCache }: AppendArgs): Command {
  return {
    operation: 'appendRows',
    workspaceBytes: 0,
    arguments: [
      layoutCode[layout],
      extentOf(rows, 0),
      extentOf(rows, 1),
      extentOf(rows, 2) * dtypeSize(rows.dtype),
      addressOf(rows),
      strideOf(rows, 0),
      strideOf(rows, 1),
      addressOf(slots),
      dtypeSize(slots.dtype),
      addressOf(kCache),
      extentOf(kCache, 0) * extentOf(kCache, 1),
      extentOf(kCache, 1),
      strideOf(kCache, 0),
      strideOf(kCache, 1),
      strideOf(kCache, 2),
    ],
  };
}
