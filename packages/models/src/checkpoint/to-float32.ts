import { type DType, decodeE4m3, decodeElements, type HostTensor } from '@flash-mla/core';
import { CheckpointError, shown } from '../errors.ts';

/** Element types of weights that stand for themselves. */
export const plainDTypes: readonly string[] = ['BF16', 'F16', 'F32'];

const e4m3Values = Float32Array.from({ length: 256 }, (_, code) => decodeE4m3(code));

/** The values of a tensor in float32; exact but for f32 itself, which is not copied. */
export function toFloat32(tensor: HostTensor<DType>): Float32Array {
  const { dtype, data } = tensor;
  if (data instanceof Float32Array) return data;
  if (dtype === 'bf16') {
    // A bfloat16 is the upper half of a float32.
    const codes = data as Uint16Array;
    const bits = new Uint32Array(codes.length);
    for (let i = 0; i < codes.length; i++) bits[i] = (codes[i] as number) << 16;
    return new Float32Array(bits.buffer);
  }
  if (dtype === 'e4m3')
    return Float32Array.from(data as Uint8Array, (code) => e4m3Values[code] ?? 0);
  return decodeElements(dtype, data);
}

/** Where rows of a block-scaled matrix lie in it. */
export interface BlockRange {
  /** First row, of the whole matrix. */
  readonly begin: number;
  readonly columns: number;
  readonly blockRows: number;
  readonly blockColumns: number;
}

/**
 * Multiplies values by their block's scale, in place. The last block of a row or column may be partial.
 *
 * @param scales of the blocks that the rows touch, from the first row's on.
 */
export function applyBlockScales(
  values: Float32Array,
  scales: Float32Array,
  { begin, columns, blockRows, blockColumns }: BlockRange,
): void {
  const across = Math.ceil(columns / blockColumns);
  const firstBlock = Math.floor(begin / blockRows);
  for (let row = 0; row < values.length / columns; row++) {
    const block = (Math.floor((begin + row) / blockRows) - firstBlock) * across;
    for (let column = 0; column < columns; column++) {
      const scale = scales[block + Math.floor(column / blockColumns)] as number;
      const at = row * columns + column;
      values[at] = (values[at] as number) * scale;
    }
  }
}

/** Throws {@link CheckpointError} for a scale that is no number. */
export function checkScales(name: string, scales: Float32Array): Float32Array {
  const bad = scales.findIndex((scale) => !Number.isFinite(scale));
  if (bad !== -1) {
    throw new CheckpointError({
      subject: `tensor ${shown(name)}`,
      expected: 'finite scales',
      actual: `${scales[bad]}`,
      remedy: 'Get the checkpoint again as its authors published it.',
    });
  }
  return scales;
}
