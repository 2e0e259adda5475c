import { dtypeSize } from '@flash-mla/core';
import { defineWebGpuKernel } from '../../../runtime/webgpu/kernel.ts';
import { type BoundTensor, bindAll } from '../../../runtime/webgpu/launch/bind-all.ts';
import { eachRows, resourcesOf } from '../../../runtime/webgpu/launch/rows.ts';
import { flatGrid, type LaunchTarget } from '../../../runtime/webgpu/runtime/runtime.ts';
import { strideOf } from '../../../runtime/webgpu/runtime/views.ts';
import { type RopeArgs, ropeOperation } from '../operation.ts';
import { type RopeConfig, ropeKernel } from './rope-kernel.ts';

/** `first`: position of the first row where rows have their own numbers as positions. */
function dispatch(
  runtime: LaunchTarget,
  args: RopeArgs,
  first: number,
  bound: Readonly<Record<string, BoundTensor>>,
): void {
  const { x, cos, positions, interleaved, out } = args;
  const [rows, heads, dim] = out.shape as [number, number, number];
  const start = (name: string) => bound[name]?.start ?? 0;
  const counts = [start('out'), strideOf(out, 0), strideOf(out, 1)];
  const config: RopeConfig = {
    x: x.dtype as RopeConfig['x'],
    out: out.dtype as RopeConfig['out'],
    ...{ dim, interleaved, hasPositions: positions !== undefined, inPlace: isInPlace(args) },
    wholeWords: counts.every((n) => (n * dtypeSize(out.dtype)) % 4 === 0),
  };
  runtime.dispatch({
    name: `rope ${Object.values(config).join(' ')}`,
    ...{ source: () => ropeKernel(config), config },
    params: {
      ...{ vectors: rows * heads, heads, known: cos.shape[0] as number, first },
      ...{ cosStart: start('cos'), sinStart: start('sin') },
      ...(positions && { positionsStart: start('positions') }),
      ...(!config.inPlace && {
        ...{ xStart: start('x'), xStride: strideOf(x, 0), xHeadStride: strideOf(x, 1) },
      }),
      ...{ outStart: start('out'), outStride: strideOf(out, 0), outHeadStride: strideOf(out, 1) },
    },
    storage: resourcesOf(bound),
    workgroups: flatGrid(rows * heads, runtime.capabilities.workgroupsPerDimension),
  });
}

/** WebGPU binds no memory both to read and to write: in place, what is written is read. */
function isInPlace({ x, out }: RopeArgs): boolean {
  const isSame = x.buffer === out.buffer && x.byteOffset === out.byteOffset;
  return isSame && [0, 1].every((d) => strideOf(x, d) === strideOf(out, d));
}

function launchRope(runtime: LaunchTarget, args: RopeArgs): void {
  const { x, cos, sin, positions, out } = args;
  let first = 0;
  eachRows(runtime, { x, out, ...(positions && { positions }) }, (part, rows) => {
    const some = { ...args, ...part };
    const reads = { cos, sin, positions: some.positions, x: isInPlace(args) ? undefined : some.x };
    bindAll(runtime, { reads, writes: { out: some.out } }, (bound) =>
      dispatch(runtime, some, first, bound),
    );
    first += rows;
  });
}

export const ropeWebGpuKernels = [
  defineWebGpuKernel({ operation: ropeOperation, launch: launchRope }),
];
