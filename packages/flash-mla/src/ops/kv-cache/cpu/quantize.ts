import {
  addressOf,
  extentOf,
  layoutCode,
  strideOf,
} from '../../../runtime/cpu/commands/address.ts';
import type { Command } from '../../../runtime/cpu/commands/command.ts';
import type { CommandContext } from '../../../runtime/cpu/commands/context.ts';
import type { DequantizeArgs, QuantizeArgs } from '../contract.ts';

/** One decoded row, float32. */
const rowScratch = 576 * 4;

/** See assembly/ops/quantize.ts. */
export function quantizeCommand({ layout, source, target }: QuantizeArgs): Command {
  return {
    operation: 'quantizeRows',
    workspaceBytes: 0,
    arguments: [
      layoutCode[layout],
      extentOf(source, 0) * extentOf(source, 1),
      extentOf(source, 1),
      addressOf(source),
      addressOf(target),
      strideOf(target, 0),
      strideOf(target, 1),
    ],
  };
}

/** See assembly/ops/quantize.ts. */
export function dequantizeCommand(context: CommandContext, args: DequantizeArgs): Command {
  const { layout, source, target } = args;
  return {
    operation: 'dequantizeRows',
    workspaceBytes: context.workers * rowScratch,
    arguments: [
      rowScratch,
      layoutCode[layout],
      extentOf(source, 0) * extentOf(source, 1),
      extentOf(source, 1),
      addressOf(source),
      strideOf(source, 0),
      strideOf(source, 1),
      addressOf(target),
    ],
  };
}
