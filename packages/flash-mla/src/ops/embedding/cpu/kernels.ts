import { addressOf, extentOf, rowsOf } from '../../../runtime/cpu/commands/address.ts';
import { commandOf } from '../../../runtime/cpu/commands/command.ts';
import { defineCpuKernel } from '../../../runtime/cpu/kernel.ts';
import { embeddingOperation } from '../operation.ts';
import { embedding } from './descriptors.ts';

/** See assembly/embedding/embedding.ts. */
export const embeddingCpuKernels = [
  defineCpuKernel({
    operation: embeddingOperation,
    command({ workers }, { table, ids, scale, out }) {
      const columns = extentOf(out, 1);
      const scratchBytes = Math.ceil(columns / 4) * 16;
      return commandOf(
        embedding,
        {
          scratchBytes,
          numRows: extentOf(ids, 0),
          columns,
          scale,
          ids: addressOf(ids),
          entries: extentOf(table, 0),
          table: rowsOf(table),
          out: rowsOf(out),
        },
        { workspaceBytes: workers * scratchBytes },
      );
    },
  }),
];
