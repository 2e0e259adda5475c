import { decodeElements } from '@flash-mla/core';
import { entryBytes, tailValues } from '../kernels/unpack/job.ts';
import { unpackKernel } from '../kernels/unpack/unpack.ts';
import { memoryOfNaN, type NativeProblem, Places, seededNumbers } from './problem.ts';

/** Rows of e4m3: `tiles` scales, each for a number of values. */
export interface UnpackShape {
  readonly rows: number;
  readonly tiles: number;
  readonly tileValues: number;
}

/** Packed rows at any place, the last one at the end of memory. */
export function unpackProblem({ rows, tiles, tileValues }: UnpackShape): NativeProblem {
  const values = tiles * tileValues;
  const targetStride = 2 * (values + tailValues) + 64;
  const rowBytes = values + 2 * tailValues + 16;
  const room = new Places();
  const entries = room.takeBytes((rows + 1) * entryBytes);
  const target = room.takeBytes(rows * targetStride - 64);
  const source = room.takeBytes(rows * rowBytes - 16);
  const memory = memoryOfNaN(room.bytes);
  const view = new DataView(memory.buffer);
  const random = seededNumbers(rows);
  const codes = () => Math.floor(256 * (random() + 0.5));
  const rowAt = (r: number) => source + rowBytes * ((r * 3 + 1) % rows);
  const scaleOf = (r: number, t: number) => 2 ** ((r + t) % 9) / 64;
  for (let at = source; at < memory.length; at++) memory[at] = codes();
  for (let r = 0; r < rows; r++) {
    view.setUint32(entries + r * entryBytes, rowAt(r), true);
    for (let t = 0; t < tiles; t++) {
      view.setFloat32(entries + r * entryBytes + 4 + 4 * t, scaleOf(r, t), true);
    }
  }
  const fields = { entries, target };
  memory.set(
    unpackKernel.packJob({
      ...fields,
      ...{ count: rows, targetStride, tiles, linesOfTile: tileValues / 32, tail: values },
    }),
  );
  const names = Array.from({ length: rows }, (_, r) => entries + r * entryBytes);
  return {
    ...{ memory, job: 0, tolerance: 1 },
    operands: room.operands(unpackKernel.jobLayout, fields, new Map([[source, names]])),
    errorOf(result) {
      const found = new DataView(result.slice().buffer);
      const word = new DataView(new ArrayBuffer(4));
      let wrong = 0;
      for (let r = 0; r < rows; r++) {
        const row = memory.subarray(rowAt(r), rowAt(r) + values);
        for (const [c, value] of decodeElements('e4m3', row).entries()) {
          word.setUint32(0, found.getUint16(target + r * targetStride + 2 * c, true) << 16, true);
          const expected = value * scaleOf(r, Math.floor(c / tileValues));
          if (!Object.is(word.getFloat32(0, true), expected)) wrong++;
        }
        for (let c = 0; c < tailValues; c++) {
          const at = target + r * targetStride + 2 * (values + c);
          const expected = view.getUint16(rowAt(r) + values + 2 * c, true);
          if (found.getUint16(at, true) !== expected) wrong++;
        }
      }
      return wrong;
    },
  };
}
