import { dtypeSize } from '@flash-mla/core';
import { addressOf, extentOf } from '../../../runtime/cpu/commands/address.ts';
import { defineCpuKernel } from '../../../runtime/cpu/kernel.ts';
import { numBucketsOf } from '../limits.ts';
import { swapInOperation } from '../operation.ts';

/** See assembly/swap-in/swap-in.ts. */
export const swapInCpuKernels = [
  defineCpuKernel({
    operation: swapInOperation,
    command({ workers }, args) {
      const { topK, seqLens, rows, hostPages, bufferPages, slotTokens, hostCache } = args;
      const [k, bufferSize] = [extentOf(topK, 1), extentOf(slotTokens, 1)];
      const numBuckets = numBucketsOf(k);
      const scratchBytes = Math.ceil((8 * numBuckets + 2 * bufferSize) / 16) * 16;
      const rowBytes = extentOf(hostCache, 3) * dtypeSize(hostCache.dtype);
      return {
        operation: 'swapIn',
        workspaceBytes: workers * scratchBytes,
        arguments: [
          ...[scratchBytes, extentOf(topK, 0), k, bufferSize, extentOf(hostCache, 1), rowBytes],
          ...[numBuckets, addressOf(topK), addressOf(seqLens), dtypeSize(seqLens.dtype)],
          ...[addressOf(rows), dtypeSize(rows.dtype), extentOf(slotTokens, 0)],
          ...[addressOf(hostPages), extentOf(hostPages, 1), extentOf(hostCache, 0)],
          ...[addressOf(bufferPages), extentOf(args.deviceCache, 0), addressOf(slotTokens)],
          ...[addressOf(args.lruOrder), addressOf(hostCache), addressOf(args.deviceCache)],
          ...[addressOf(args.locations), addressOf(args.plannedHostRows)],
          ...[addressOf(args.plannedDeviceRows), addressOf(args.missCounts)],
        ],
      };
    },
  }),
];
