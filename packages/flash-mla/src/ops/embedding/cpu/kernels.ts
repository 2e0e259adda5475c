import { dtypeSize } from '@flash-mla/core';
import { addressOf, extentOf, farRowsOf, rowsOf } from '../../../runtime/cpu/commands/address.ts';
import { commandOf } from '../../../runtime/cpu/commands/command.ts';
import { defineCpuKernel } from '../../../runtime/cpu/kernel.ts';
import { embeddingOperation } from '../operation.ts';
import { embedding } from './descriptors.ts';

/** A job of machine code. */
const jobBytes = 64;

/** See assembly/embedding/embedding.ts. */
export const embeddingCpuKernels = [
  defineCpuKernel({
    operation: embeddingOperation,
    command({ workers }, { table, ids, scale, out }) {
      const columns = extentOf(out, 1);
      const { rows, base } = farRowsOf(table);
      const entryBytes = columns * dtypeSize(table.dtype);
      const scratchBytes = Math.ceil(columns / 4) * 16 + jobBytes + Math.ceil(entryBytes / 64) * 64;
      return commandOf(
        embedding,
        {
          scratchBytes,
          numRows: extentOf(ids, 0),
          columns,
          scale,
          ids: addressOf(ids),
          entries: extentOf(table, 0),
          table: rows,
          tableBase: base,
          entryBytes,
          out: rowsOf(out),
        },
        { workspaceBytes: workers * scratchBytes },
      );
    },
    takesFar: (_, { table }, view) => view === table,
  }),
];
