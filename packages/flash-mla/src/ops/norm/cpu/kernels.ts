import { addressOf, extentOf, rowsOf } from '../../../runtime/cpu/commands/address.ts';
import { type Command, commandOf } from '../../../runtime/cpu/commands/command.ts';
import type { CommandContext } from '../../../runtime/cpu/commands/context.ts';
import { defineCpuKernel } from '../../../runtime/cpu/kernel.ts';
import { type RmsNormArgs, rmsNormOperation } from '../operation.ts';
import { rmsNorm } from './descriptors.ts';

/** A row, a second operand and the weight, as float32. */
const rowsOfScratch = 3;

/** See assembly/norm/rms-norm.ts. */
function rmsNormCommand({ workers }: CommandContext, args: RmsNormArgs): Command {
  const { x, residual, weight, eps, out, scales, powerOfTwoScales } = args;
  const columns = extentOf(x, 1);
  const scratchBytes = rowsOfScratch * Math.ceil(columns / 4) * 16;
  return commandOf(
    rmsNorm,
    {
      scratchBytes,
      numRows: extentOf(x, 0),
      columns,
      eps,
      x: rowsOf(x),
      residual: rowsOf(residual),
      weight: rowsOf(weight),
      out: rowsOf(out),
      scales: addressOf(scales),
      powerOfTwoScales,
    },
    { workspaceBytes: workers * scratchBytes },
  );
}

export const normCpuKernels = [
  defineCpuKernel({ operation: rmsNormOperation, command: rmsNormCommand }),
];
