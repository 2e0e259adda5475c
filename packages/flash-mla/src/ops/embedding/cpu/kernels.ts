import {
  addressOf,
  elementCode,
  extentOf,
  strideOf,
} from '../../../runtime/cpu/commands/address.ts';
import { defineCpuKernel } from '../../../runtime/cpu/kernel.ts';
import { embeddingOperation } from '../operation.ts';

/** See assembly/embedding/embedding.ts. */
export const embeddingCpuKernels = [
  defineCpuKernel({
    operation: embeddingOperation,
    command({ workers }, { table, ids, scale, out }) {
      const columns = extentOf(out, 1);
      const scratchBytes = Math.ceil(columns / 4) * 16;
      return {
        operation: 'embedding',
        workspaceBytes: workers * scratchBytes,
        arguments: [
          ...[scratchBytes, extentOf(ids, 0), columns, scale, addressOf(ids), extentOf(table, 0)],
          ...[elementCode(table.dtype), addressOf(table), strideOf(table, 0)],
          ...[elementCode(out.dtype), addressOf(out), strideOf(out, 0)],
        ],
      };
    },
  }),
];
