import { extentOf, rowsOf } from '../../../runtime/cpu/commands/address.ts';
import { commandOf } from '../../../runtime/cpu/commands/command.ts';
import { defineCpuKernel } from '../../../runtime/cpu/kernel.ts';
import { addScaledOperation, swiGluOperation } from '../operation.ts';
import { addScaled, swiGlu } from './descriptors.ts';

/** Two rows of float32. */
const scratchOf = (columns: number) => 2 * Math.ceil(columns / 4) * 16;

/** See assembly/activation/elements.ts. */
export const activationCpuKernels = [
  defineCpuKernel({
    operation: swiGluOperation,
    command({ workers }, { x, out }) {
      const columns = extentOf(out, 1);
      const scratchBytes = scratchOf(columns);
      return commandOf(
        swiGlu,
        { scratchBytes, numRows: extentOf(x, 0), columns, x: rowsOf(x), out: rowsOf(out) },
        { workspaceBytes: workers * scratchBytes },
      );
    },
  }),
  defineCpuKernel({
    operation: addScaledOperation,
    command({ workers }, { x, scale, target }) {
      const [numRows, columns] = [extentOf(x, 0), extentOf(x, 1)];
      const scratchBytes = scratchOf(columns);
      return commandOf(
        addScaled,
        { scratchBytes, numRows, columns, scale, x: rowsOf(x), target: rowsOf(target) },
        { workspaceBytes: workers * scratchBytes },
      );
    },
  }),
];
