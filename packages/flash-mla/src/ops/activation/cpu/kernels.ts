import {
  addressOf,
  elementCode,
  extentOf,
  strideOf,
} from '../../../runtime/cpu/commands/address.ts';
import { defineCpuKernel } from '../../../runtime/cpu/kernel.ts';
import { addScaledOperation, swiGluOperation } from '../operation.ts';

/** Two rows of float32. */
const scratchOf = (columns: number) => 2 * Math.ceil(columns / 4) * 16;

/** See assembly/activation/elements.ts. */
export const activationCpuKernels = [
  defineCpuKernel({
    operation: swiGluOperation,
    command({ workers }, { x, out }) {
      const columns = extentOf(out, 1);
      const scratchBytes = scratchOf(columns);
      return {
        operation: 'swiGlu',
        workspaceBytes: workers * scratchBytes,
        arguments: [
          ...[scratchBytes, extentOf(x, 0), columns],
          ...[elementCode(x.dtype), addressOf(x), strideOf(x, 0)],
          ...[elementCode(out.dtype), addressOf(out), strideOf(out, 0)],
        ],
      };
    },
  }),
  defineCpuKernel({
    operation: addScaledOperation,
    command({ workers }, { x, scale, target }) {
      const columns = extentOf(x, 1);
      const scratchBytes = scratchOf(columns);
      return {
        operation: 'addScaled',
        workspaceBytes: workers * scratchBytes,
        arguments: [
          ...[scratchBytes, extentOf(x, 0), columns, scale],
          ...[elementCode(x.dtype), addressOf(x), strideOf(x, 0)],
          ...[elementCode(target.dtype), addressOf(target), strideOf(target, 0)],
        ],
      };
    },
  }),
];
