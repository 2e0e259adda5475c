import { dtypeSize } from '@flash-mla/core';
import { addressOf, extentOf } from '../../../runtime/cpu/commands/address.ts';
import { commandOf } from '../../../runtime/cpu/commands/command.ts';
import { defineCpuKernel } from '../../../runtime/cpu/kernel.ts';
import { copyRowsOperation } from '../copy-rows-operation.ts';
import { numBucketsOf } from '../limits.ts';
import { swapInOperation } from '../operation.ts';
import { copyRows, swapIn } from './descriptors.ts';

/** See assembly/swap-in. */
export const swapInCpuKernels = [
  defineCpuKernel({
    operation: swapInOperation,
    command({ workers }, args) {
      const { topK, seqLens, rows, hostPages, slotTokens, hostCache } = args;
      const bufferSize = extentOf(slotTokens, 1);
      const numBuckets = numBucketsOf(extentOf(topK, 1));
      const scratchBytes = Math.ceil((8 * numBuckets + 2 * bufferSize) / 16) * 16;
      return commandOf(
        swapIn,
        {
          scratchBytes,
          numRequests: extentOf(topK, 0),
          topK: extentOf(topK, 1),
          bufferSize,
          pageSize: extentOf(hostCache, 1),
          rowBytes: extentOf(hostCache, 3) * dtypeSize(hostCache.dtype),
          numBuckets,
          positions: addressOf(topK),
          seqLens: addressOf(seqLens),
          lengthBytes: dtypeSize(seqLens.dtype),
          rows: addressOf(rows),
          rowNumberBytes: dtypeSize(rows.dtype),
          numRows: extentOf(slotTokens, 0),
          hostPages: addressOf(hostPages),
          hostWidth: extentOf(hostPages, 1),
          numHostPages: extentOf(hostCache, 0),
          bufferPages: addressOf(args.bufferPages),
          numDevicePages: extentOf(args.deviceCache, 0),
          slotTokens: addressOf(slotTokens),
          lruOrder: addressOf(args.lruOrder),
          hostCache: addressOf(hostCache),
          deviceCache: addressOf(args.deviceCache),
          locations: addressOf(args.locations),
          plannedHostRows: addressOf(args.plannedHostRows),
          plannedDeviceRows: addressOf(args.plannedDeviceRows),
          missCounts: addressOf(args.missCounts),
        },
        { workspaceBytes: workers * scratchBytes },
      );
    },
  }),
  defineCpuKernel({
    operation: copyRowsOperation,
    command(_, { source, target, sourceRows, targetRows, counts }) {
      return commandOf(copyRows, {
        numRequests: extentOf(sourceRows, 0),
        most: extentOf(sourceRows, 1),
        rowBytes: extentOf(source, 3) * dtypeSize(source.dtype),
        source: addressOf(source),
        target: addressOf(target),
        numSourceRows: extentOf(source, 0) * extentOf(source, 1),
        numTargetRows: extentOf(target, 0) * extentOf(target, 1),
        sourceRows: addressOf(sourceRows),
        targetRows: addressOf(targetRows),
        counts: addressOf(counts),
      });
    },
  }),
];
