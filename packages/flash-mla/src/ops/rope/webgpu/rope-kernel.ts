import {
  type KernelSource,
  kernel,
  type StorageBinding,
} from '../../../runtime/webgpu/wgsl/kernel.ts';
import { encode16 } from '../../../runtime/webgpu/wgsl/numbers.ts';
import { Params } from '../../../runtime/webgpu/wgsl/params.ts';
import { type RowDType, rowReader, rowWriter } from '../../../runtime/webgpu/wgsl/rows.ts';
import { join } from '../../../runtime/webgpu/wgsl/text.ts';

/** What the WGSL depends on. */
export interface RopeConfig {
  readonly x: RowDType;
  readonly out: RowDType;
  readonly dim: number;
  readonly interleaved: boolean;
  readonly hasPositions: boolean;
  readonly inPlace: boolean;
  /** Heads that are written begin at words. */
  readonly wholeWords: boolean;
}

const workgroupSize = 64;

/** A workgroup takes a head: all of it is read before any of it is written. */
export function ropeKernel(config: RopeConfig): KernelSource {
  const { x, out, dim, interleaved, hasPositions, inPlace, wholeWords } = config;
  const half = dim / 2;
  const storage: StorageBinding[] = [
    { name: 'cos', access: 'read', element: 'f32' },
    { name: 'sin', access: 'read', element: 'f32' },
  ];
  if (hasPositions) storage.push({ name: 'positions', access: 'read', element: 'u32' });
  if (!inPlace) storage.push({ name: 'x', access: 'read', element: 'u32' });
  const written = wholeWords ? 'u32' : 'atomic<u32>';
  storage.push({ name: 'out', access: 'read_write', element: written });
  const step = wholeWords ? 2 : 1;
  const values = wholeWords ? 'vec2(rotated[column], rotated[column + 1u])' : 'rotated[column]';
  const read = inPlace ? 'readOut(outHead + ' : 'readX(xHead + ';
  return kernel(
    `rope ${x} to ${out}`,
    new Params({
      ...{ vectors: 'u32', heads: 'u32', known: 'u32', first: 'u32' },
      ...{ cosStart: 'u32', sinStart: 'u32' },
      ...(hasPositions && { positionsStart: 'u32' }),
      ...(!inPlace && { xStart: 'u32', xStride: 'u32', xHeadStride: 'u32' }),
      ...{ outStart: 'u32', outStride: 'u32', outHeadStride: 'u32' },
    }),
    storage,
    join(
      encode16,
      !inPlace && rowReader('x', x),
      inPlace && rowReader('out', out, !wholeWords),
      rowWriter('out', out, !wholeWords),
      `var<workgroup> rotated: array<f32, ${dim}>;

      @compute @workgroup_size(${workgroupSize})
      fn main(
        @builtin(workgroup_id) workgroup: vec3<u32>,
        @builtin(num_workgroups) workgroups: vec3<u32>,
        @builtin(local_invocation_index) thread: u32,
      ) {
        let vector = workgroup.x + workgroup.y * workgroups.x;
        if (vector >= params.vectors) { return; }
        let row = vector / params.heads;
        let head = vector % params.heads;
        let outHead = params.outStart + row * params.outStride + head * params.outHeadStride;
        ${inPlace ? '' : 'let xHead = params.xStart + row * params.xStride + head * params.xHeadStride;'}
        let position = ${hasPositions ? 'positions[params.positionsStart + row]' : 'params.first + row'};
        let rotates = position < params.known;
        let angle = select(0u, position, rotates) * ${half}u;
        for (var i = thread; i < ${half}u; i += ${workgroupSize}u) {
          let c = select(1.0, cos[params.cosStart + angle + i], rotates);
          let s = select(0.0, sin[params.sinStart + angle + i], rotates);
          let one = ${interleaved ? '2u * i' : 'i'};
          let two = ${interleaved ? '2u * i + 1u' : `i + ${half}u`};
          let a = ${read}one);
          let b = ${read}two);
          rotated[one] = a * c - b * s;
          rotated[two] = a * s + b * c;
        }
        workgroupBarrier();
        for (var column = thread * ${step}u; column < ${dim}u; column += ${step * workgroupSize}u) {
          writeOut${wholeWords ? 'Pair' : ''}(outHead + column, ${values});
        }
      }`,
    ),
  );
}
