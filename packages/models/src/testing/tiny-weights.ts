import { type DType, encodeElements } from '@flash-mla/core';
import type { WritableTensor } from '@flash-mla/safetensors';

/** What `tensors.json` of a tiny model says: name → element type as safetensors calls it, and shape. */
export type TensorList = Readonly<Record<string, readonly [string, readonly number[]]>>;

const dtypes: Readonly<Record<string, DType>> = { F32: 'f32', BF16: 'bf16', F8_E4M3: 'e4m3' };

/**
 * The tensors of a tiny model. Weights follow from their names (a hash of the name and the index), so that
 * answers computed elsewhere hold for them without storing them.
 */
export function tinyTensors(list: TensorList): Map<string, WritableTensor> {
  const tensors = new Map<string, WritableTensor>();
  for (const [name, [dtype, shape]] of Object.entries(list)) {
    if (name.endsWith('_scale_inv')) continue;
    const values = valuesOf(name, shape);
    if (dtype === 'F8_E4M3') {
      const { weight, scales, scaleShape } = quantize(values, shape);
      tensors.set(name, { dtype: 'e4m3', shape, data: weight });
      tensors.set(`${name}_scale_inv`, { dtype: 'f32', shape: scaleShape, data: scales });
    } else {
      const own = dtypes[dtype] ?? 'f32';
      tensors.set(name, { dtype: own, shape, data: encodeElements(own, values) });
    }
  }
  return tensors;
}

function valuesOf(name: string, shape: readonly number[]): Float32Array {
  const count = shape.reduce((product, n) => product * n, 1);
  const values = uniform(name, count);
  const last = shape.at(-1) ?? 1;
  const amplitude = name.includes('embed') ? Math.sqrt(3) : Math.sqrt(3 / last);
  const isBias = name.endsWith('bias');
  return Float32Array.from(values, (u) => {
    if (shape.length > 1) return amplitude * u;
    return isBias ? 0.1 * u : 1 + 0.2 * u;
  });
}

/** Numbers in [−1, 1): FNV-1a of the name seeds MurmurHash3's finaliser over the index. */
function uniform(name: string, count: number): Float64Array {
  let seed = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(name)) seed = Math.imul(seed ^ byte, 0x01000193);
  const values = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    let h = (Math.imul(i, 0x9e3779b9) + seed) >>> 0;
    h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
    values[i] = ((h ^ (h >>> 16)) >>> 0) / 2 ** 31 - 1;
  }
  return values;
}

/** e4m3 with a scale for each block of 128 × 128, of the values in bf16. */
function quantize(values: Float32Array, [rows = 0, columns = 0]: readonly number[]) {
  const rounded = fromBf16(encodeElements('bf16', values));
  const down = Math.ceil(rows / 128);
  const across = Math.ceil(columns / 128);
  const scales = new Float32Array(down * across);
  const blockOf = (i: number) =>
    Math.floor(i / columns / 128) * across + Math.floor((i % columns) / 128);
  for (let i = 0; i < rounded.length; i++) {
    const block = blockOf(i);
    scales[block] = Math.max(scales[block] as number, Math.abs(rounded[i] as number));
  }
  for (let block = 0; block < scales.length; block++) {
    scales[block] = Math.fround((scales[block] as number) / 448);
  }
  const scaled = rounded.map((value, i) => value / (scales[blockOf(i)] as number));
  return { weight: encodeElements('e4m3', scaled), scales, scaleShape: [down, across] };
}

function fromBf16(codes: Uint16Array): Float32Array {
  return new Float32Array(Uint32Array.from(codes, (code) => code << 16).buffer);
}
