import type { TensorView } from '../../../../runtime/tensor/view.ts';
import { withInput, withOutput } from '../../../../runtime/webgpu/launch/buffers.ts';
import { positionsPerBinding, slicePositions } from '../../../../runtime/webgpu/launch/slices.ts';
import { flatGrid, type LaunchTarget } from '../../../../runtime/webgpu/runtime/runtime.ts';
import { type BoundRange, rangeOf, strideOf } from '../../../../runtime/webgpu/runtime/views.ts';
import type { DequantizeArgs, QuantizeArgs } from '../../contract.ts';
import { dequantizeKernel, quantizeKernel } from '../kernels/quantize.ts';

/** bf16 rows → packed rows, some blocks at a time where they do not fit a binding. */
export function quantizeKvCache(runtime: LaunchTarget, args: QuantizeArgs): void {
  forBlocks(runtime, args.source, args.target, (source, target) => {
    const enqueue = (rows: BoundRange, packed: BoundRange) =>
      runtime.dispatch({
        name: `quantize ${args.layout}`,
        source: () => quantizeKernel(args.layout),
        config: { layout: args.layout },
        params: { ...placeParams(target, packed.firstByte), rows: rows.firstByte / 2 },
        storage: { source: rows.resource, packed: packed.resource },
        workgroups: tokenGrid(runtime, target),
      });
    withInput(runtime, 'kCache', rangeOf(source), (rows) => {
      // Blocks may be padded, and the padding belongs to the caller.
      withOutput(runtime, 'out', blockRange(target), (packed) => enqueue(rows, packed), true);
    });
  });
}

/** Packed rows → bf16 rows. */
export function dequantizeKvCache(runtime: LaunchTarget, args: DequantizeArgs): void {
  const decoding = runtime.capabilities.halfSubnormals ? 'half' : 'exact';
  forBlocks(runtime, args.source, args.target, (source, target) => {
    withInput(runtime, 'kCache', blockRange(source), (packed) => {
      withOutput(runtime, 'out', rangeOf(target), (rows) => {
        runtime.dispatch({
          name: `dequantize ${args.layout} ${decoding}`,
          source: () => dequantizeKernel(args.layout, decoding),
          config: { layout: args.layout, e4m3: decoding },
          params: { ...placeParams(source, packed.firstByte), rows: rows.firstByte / 4 },
          storage: { packed: packed.resource, unpacked: rows.resource },
          workgroups: tokenGrid(runtime, source),
        });
      });
    });
  });
}

function forBlocks(
  runtime: LaunchTarget,
  source: TensorView,
  target: TensorView,
  run: (source: TensorView, target: TensorView) => void,
): void {
  const blocks = source.shape[0] as number;
  const most = Math.min(positionsPerBinding(runtime, source), positionsPerBinding(runtime, target));
  for (let first = 0; first < blocks; first += most) {
    const end = Math.min(blocks, first + most);
    run(slicePositions(source, first, end), slicePositions(target, first, end));
  }
}

/** All bytes of packed blocks: for `model1` strides other than that of blocks mean nothing. */
export function blockRange(view: TensorView) {
  const [blocks, page, , rowBytes] = view.shape as [number, number, number, number];
  const range = rangeOf(view);
  const dense = (blocks - 1) * strideOf(view, 0) + page * rowBytes;
  return { ...range, end: Math.max(range.end, range.begin + dense) };
}

function placeParams(packed: TensorView, firstByte: number) {
  const [blocks, page] = packed.shape as [number, number];
  return {
    tokens: blocks * page,
    page,
    packedStart: firstByte / 4,
    blockWords: strideOf(packed, 0) / 4,
    rowWords: strideOf(packed, 1) / 4,
  };
}

function tokenGrid({ capabilities }: LaunchTarget, packed: TensorView): [number, number, number] {
  const [blocks, page] = packed.shape as [number, number];
  return flatGrid(blocks * page, capabilities.workgroupsPerDimension);
}
