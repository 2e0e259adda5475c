import { addressOf, extentOf, strideOf } from '../../../runtime/cpu/commands/address.ts';
import { type Command, commandOf } from '../../../runtime/cpu/commands/command.ts';
import type { CommandContext } from '../../../runtime/cpu/commands/context.ts';
import { packedRows } from '../../../runtime/tensor/packed-rows.ts';
import { layoutCode } from '../../kernel-lib/cpu/descriptors.ts';
import type { DequantizeArgs, QuantizeArgs } from '../contract.ts';
import { dequantizeRows, quantizeRows } from './descriptors.ts';

/** One decoded row, float32. */
const scratchBytes = 4 * Math.max(packedRows.v32.headDimQk, packedRows.model1.headDimQk);

/** A job of machine code. */
export const jobBytes = 64;

/** See assembly/ops/quantize.ts. */
export function quantizeCommand(
  { workers }: CommandContext,
  { layout, source, target }: QuantizeArgs,
): Command {
  const values = {
    scratchBytes: jobBytes,
    layout: layoutCode[layout],
    numRows: extentOf(source, 0) * extentOf(source, 1),
    pageSize: extentOf(source, 1),
    source: addressOf(source),
    target: addressOf(target),
    blockStride: strideOf(target, 0),
    tokenStride: strideOf(target, 1),
  };
  return commandOf(quantizeRows, values, { workspaceBytes: workers * jobBytes });
}

/** See assembly/ops/quantize.ts. */
export function dequantizeCommand(
  { workers }: CommandContext,
  { layout, source, target }: DequantizeArgs,
): Command {
  return commandOf(
    dequantizeRows,
    {
      scratchBytes,
      layout: layoutCode[layout],
      numRows: extentOf(source, 0) * extentOf(source, 1),
      pageSize: extentOf(source, 1),
      source: addressOf(source),
      blockStride: strideOf(source, 0),
      tokenStride: strideOf(source, 1),
      target: addressOf(target),
    },
    { workspaceBytes: workers * scratchBytes },
  );
}
