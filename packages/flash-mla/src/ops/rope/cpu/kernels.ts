import { addressOf, extentOf, rowsOf, strideOf } from '../../../runtime/cpu/commands/address.ts';
import { commandOf } from '../../../runtime/cpu/commands/command.ts';
import { defineCpuKernel } from '../../../runtime/cpu/kernel.ts';
import { ropeOperation } from '../operation.ts';
import { applyRope } from './descriptors.ts';

/** See assembly/rope/apply-rope.ts. */
export const ropeCpuKernels = [
  defineCpuKernel({
    operation: ropeOperation,
    command({ workers }, { x, cos, sin, positions, interleaved, out }) {
      const dim = extentOf(x, 2);
      const scratchBytes = Math.ceil(dim / 4) * 16;
      return commandOf(
        applyRope,
        {
          scratchBytes,
          numRows: extentOf(x, 0),
          numHeads: extentOf(x, 1),
          dim,
          interleaved,
          cos: addressOf(cos),
          sin: addressOf(sin),
          numPositions: extentOf(cos, 0),
          positions: addressOf(positions),
          x: rowsOf(x),
          xHeadStride: strideOf(x, 1),
          out: rowsOf(out),
          outHeadStride: strideOf(out, 1),
        },
        { workspaceBytes: workers * scratchBytes },
      );
    },
  }),
];
