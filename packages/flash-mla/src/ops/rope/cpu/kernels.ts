import {
  addressOf,
  elementCode,
  extentOf,
  strideOf,
} from '../../../runtime/cpu/commands/address.ts';
import { defineCpuKernel } from '../../../runtime/cpu/kernel.ts';
import { ropeOperation } from '../operation.ts';

/** See assembly/rope/apply-rope.ts. */
export const ropeCpuKernels = [
  defineCpuKernel({
    operation: ropeOperation,
    command({ workers }, { x, cos, sin, positions, interleaved, out }) {
      const dim = extentOf(x, 2);
      const scratchBytes = Math.ceil(dim / 4) * 16;
      return {
        operation: 'applyRope',
        workspaceBytes: workers * scratchBytes,
        arguments: [
          ...[scratchBytes, extentOf(x, 0), extentOf(x, 1), dim, interleaved ? 1 : 0],
          ...[addressOf(cos), addressOf(sin), extentOf(cos, 0), addressOf(positions)],
          ...[elementCode(x.dtype), addressOf(x), strideOf(x, 0), strideOf(x, 1)],
          ...[elementCode(out.dtype), addressOf(out), strideOf(out, 0), strideOf(out, 1)],
        ],
      };
    },
  }),
];
