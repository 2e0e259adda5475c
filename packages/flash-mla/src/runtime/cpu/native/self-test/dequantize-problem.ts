import { dequantizeKernels } from '../kernels/dequantize/dequantize.ts';
import type { VectorKind } from '../kernels/features.ts';
import { lineValues, tailValues } from '../kernels/pack/job.ts';
import type { PackShape } from './pack-problem.ts';
import { memoryOfNaN, type NativeProblem, Places, seededNumbers } from './problem.ts';
import { e4m3Value } from './scaled-dots-problem.ts';

const nan = 0x7fc0;
const isNaN16 = (bits: number) => (bits & 0x7fff) > 0x7f80;

/** The bf16 number nearest to one of f32, of two equally near ones the even one. */
function bf16(value: number): number {
  const bits = new Uint32Array(Float32Array.of(value).buffer)[0] as number;
  return Number.isNaN(value) ? nan : ((bits + 0x7fff + ((bits >>> 16) & 1)) / 0x10000) & 0xffff;
}

/** Packed rows of every code; scales of `v32` are no powers of two, so that products are rounded. */
export function dequantizeProblem(kind: VectorKind, { rows, isModel1 }: PackShape): NativeProblem {
  const [tiles, tileValues] = isModel1 ? [7, 64] : [4, 128];
  const values = tiles * tileValues;
  const scaleBytes = isModel1 ? 8 : 16;
  const tail = values + (isModel1 ? 0 : scaleBytes);
  const rowBytes = tail + 2 * tailValues;
  const targetBytes = 2 * (values + tailValues);
  const room = new Places();
  const target = room.takeBytes(rows * targetBytes);
  const source = room.takeBytes(rows * rowBytes + (isModel1 ? rows * scaleBytes : 0));
  const scales = source + (isModel1 ? rows * rowBytes : values);
  const scalesStride = isModel1 ? scaleBytes : rowBytes;
  const memory = memoryOfNaN(room.bytes);
  const view = new DataView(memory.buffer);
  const random = seededNumbers(rows);
  const expected: number[] = [];
  for (let r = 0; r < rows; r++) {
    const row = source + r * rowBytes;
    for (let t = 0; t < tiles; t++) {
      // All codes of scales, the ends of their range among them.
      const code = [127, 0, 255, 1, 114, 254, 120][(r + t) % 7] as number;
      const scale = isModel1 ? (code === 255 ? Number.NaN : 2 ** (code - 127)) : random();
      if (isModel1) view.setUint8(scales + r * scalesStride + t, code);
      else view.setFloat32(scales + r * scalesStride + 4 * t, scale, true);
      for (let i = t * tileValues; i < (t + 1) * tileValues; i++) {
        const value = Math.floor(256 * (random() + 0.5));
        view.setUint8(row + i, value);
        expected.push(bf16(e4m3Value(value) * Math.fround(scale)));
      }
    }
    for (let i = 0; i < tailValues; i++) {
      const bits = Math.floor(0xffff * (random() + 0.5));
      view.setUint16(row + tail + 2 * i, bits, true);
      expected.push(bits);
    }
  }
  const fields = { source, target };
  memory.set(
    dequantizeKernels[kind].packJob({
      ...fields,
      ...{ scales, scalesStride, rows, tiles, tail },
      linesOfTile: tileValues / lineValues,
      isE8m0: isModel1 ? 1 : 0,
      sourceStride: rowBytes,
      targetStride: targetBytes,
    }),
  );
  const layout = dequantizeKernels[kind].jobLayout;
  // The scales' address is one into the source.
  const lists = new Map([[source, [layout.offsets.get('scales')?.offset ?? Number.NaN]]]);
  return {
    ...{ memory, job: 0, tolerance: 1 },
    operands: room.operands(layout, fields, lists),
    errorOf(result) {
      const found = new DataView(result.slice().buffer);
      return expected.filter((bits, i) => {
        const actual = found.getUint16(target + 2 * i, true);
        return actual !== bits && !(isNaN16(actual) && isNaN16(bits));
      }).length;
    },
  };
}
