import {
  addressOf,
  elementCode,
  extentOf,
  strideOf,
} from '../../../runtime/cpu/commands/address.ts';
import type { Command } from '../../../runtime/cpu/commands/command.ts';
import type { CommandContext } from '../../../runtime/cpu/commands/context.ts';
import { defineCpuKernel } from '../../../runtime/cpu/kernel.ts';
import { type RmsNormArgs, rmsNormOperation } from '../operation.ts';

/** A row, a second operand and the weight, as float32. */
const rowsOfScratch = 3;

/** See assembly/norm/rms-norm.ts. */
function rmsNormCommand({ workers }: CommandContext, args: RmsNormArgs): Command {
  const { x, residual, weight, eps, out, scales, powerOfTwoScales } = args;
  const columns = extentOf(x, 1);
  const scratchBytes = rowsOfScratch * Math.ceil(columns / 4) * 16;
  return {
    operation: 'rmsNorm',
    workspaceBytes: workers * scratchBytes,
    arguments: [
      scratchBytes,
      extentOf(x, 0),
      columns,
      eps,
      ...[elementCode(x.dtype), addressOf(x), strideOf(x, 0)],
      ...[elementCode(residual?.dtype ?? 'f32'), addressOf(residual)],
      residual ? strideOf(residual, 0) : 0,
      ...[elementCode(weight.dtype), addressOf(weight)],
      ...[elementCode(out.dtype), addressOf(out), strideOf(out, 0)],
      addressOf(scales),
      powerOfTwoScales ? 1 : 0,
    ],
  };
}

export const normCpuKernels = [
  defineCpuKernel({ operation: rmsNormOperation, command: rmsNormCommand }),
];
