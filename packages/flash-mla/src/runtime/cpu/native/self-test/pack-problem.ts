import type { VectorKind } from '../kernels/features.ts';
import { lineValues, tailValues } from '../kernels/pack/job.ts';
import { packKernels } from '../kernels/pack/pack.ts';
import { memoryOfNaN, type NativeProblem, Places, seededNumbers } from './problem.ts';

/** Rows to be packed as `v32` or as `model1`. */
export interface PackShape {
  readonly rows: number;
  readonly isModel1: boolean;
}

/** Codes of bf16: ordinary values, zeros, tiny and huge ones, infinities and NaN. */
function drawRow(random: () => number, row: number, count: number): Uint16Array {
  const word = new DataView(new ArrayBuffer(4));
  const spread = [1, 0, 1e-6, 1e30, 300, 0.01][row % 6] as number;
  const codes = Uint16Array.from({ length: count }, () => {
    word.setFloat32(0, random() * spread, true);
    return word.getUint16(2, true);
  });
  if (row % 7 === 3) codes[70] = 0x7fc0;
  if (row % 5 === 4) codes[200] = 0xff80;
  return codes;
}

const bf16Value = (bits: number) =>
  new Float32Array(Uint32Array.of(bits << 16).buffer)[0] as number;

/** The smallest power of two, of at least 2^-13, by which magnitudes become at most 448, as e8m0. */
function scaleCode(values: readonly number[]): number {
  if (values.some(Number.isNaN)) return 255;
  const largest = Math.max(...values.map(Math.abs));
  if (largest === Number.POSITIVE_INFINITY) return 254;
  let code = 127 - 13;
  while (2 ** (code - 127) * 448 < largest) code++;
  return code;
}

/** The nearest code, of two equally near ones the even one. */
function e4m3(value: number): number {
  if (Number.isNaN(value)) return 0x7f;
  const magnitude = Math.min(448, Math.abs(value));
  const exponent = Math.max(-6, Math.floor(Math.log2(magnitude)));
  const units = magnitude / 2 ** (exponent - 3);
  let whole = Math.floor(units);
  const rest = units - whole;
  if (rest > 0.5 || (rest === 0.5 && whole % 2 === 1)) whole++;
  // A fraction that is carried over raises the exponent, as it should.
  const code = whole + 8 * (exponent + 6);
  return code | (value < 0 || Object.is(value, -0) ? 0x80 : 0);
}

export function packProblem(kind: VectorKind, { rows, isModel1 }: PackShape): NativeProblem {
  const [tiles, tileValues] = isModel1 ? [7, 64] : [4, 128];
  const values = tiles * tileValues;
  const scaleBytes = isModel1 ? 8 : 16;
  const tail = values + (isModel1 ? 0 : scaleBytes);
  const rowBytes = tail + 2 * tailValues;
  const sourceBytes = 2 * (values + tailValues);
  const room = new Places();
  const source = room.takeBytes(rows * (sourceBytes + 6) - 6);
  // Scales of model1 lie behind all rows, those of v32 in them.
  const target = room.takeBytes(rows * rowBytes + (isModel1 ? rows * scaleBytes : 0));
  const scales = target + (isModel1 ? rows * rowBytes : values);
  const memory = memoryOfNaN(room.bytes);
  const view = new DataView(memory.buffer);
  const random = seededNumbers(rows);
  const expected: number[] = [];
  for (let r = 0; r < rows; r++) {
    const row = drawRow(random, r, values + tailValues);
    for (const [i, code] of row.entries()) {
      view.setUint16(source + r * (sourceBytes + 6) + 2 * i, code, true);
    }
    const bytes = new DataView(new ArrayBuffer(rowBytes + scaleBytes));
    for (let t = 0; t < tiles; t++) {
      const tile = [...row.subarray(t * tileValues, (t + 1) * tileValues)].map(bf16Value);
      const code = scaleCode(tile);
      const scale = code === 255 ? Number.NaN : 2 ** (code - 127);
      for (const [i, value] of tile.entries())
        bytes.setUint8(t * tileValues + i, e4m3(value / scale));
      if (isModel1) bytes.setUint8(rowBytes + t, code);
      else bytes.setFloat32(values + 4 * t, scale, true);
    }
    for (let i = 0; i < tailValues; i++)
      bytes.setUint16(tail + 2 * i, row[values + i] as number, true);
    const all = new Uint8Array(bytes.buffer);
    for (let i = 0; i < rowBytes; i++) expected[r * rowBytes + i] = all[i] as number;
    if (!isModel1) continue;
    const at = rows * rowBytes + r * scaleBytes;
    for (let i = 0; i < scaleBytes; i++) expected[at + i] = all[rowBytes + i] as number;
  }
  const fields = { source, target };
  memory.set(
    packKernels[kind].packJob({
      ...fields,
      ...{ scales, rows, tiles, tail },
      linesOfTile: tileValues / lineValues,
      isE8m0: isModel1 ? 1 : 0,
      sourceStride: sourceBytes + 6,
      targetStride: rowBytes,
      scalesStride: isModel1 ? scaleBytes : rowBytes,
    }),
  );
  const layout = packKernels[kind].jobLayout;
  // The scales' address is one into the target.
  const lists = new Map([[target, [layout.offsets.get('scales')?.offset ?? Number.NaN]]]);
  return {
    ...{ memory, job: 0, tolerance: 1 },
    operands: room.operands(layout, fields, lists),
    errorOf: (result) => expected.filter((byte, i) => result[target + i] !== byte).length,
  };
}
