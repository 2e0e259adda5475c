import { encodeE4m3, type HostTensor, hostTensor } from '@flash-mla/core';
import type { Random } from '../../conformance/suite/random.ts';
import { indexRopeDim } from '../limits.ts';

/** Tables of rotations for some positions. */
export function drawTables(positions: number) {
  const half = indexRopeDim / 2;
  const table = (of: (angle: number) => number): HostTensor<'f32'> =>
    hostTensor(
      'f32',
      [positions, half],
      Float32Array.from({ length: positions * half }, (_, i) =>
        of(Math.floor(i / half) * 10_000 ** (-(i % half) / half)),
      ),
    );
  return { cos: table(Math.cos), sin: table(Math.sin) };
}

/** Numbers of e4m3 of the size that rows with a scale have. */
export function drawCodes(random: Random, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => encodeE4m3(random.normal() * 100));
}

/** Powers of two. */
export function drawScales(random: Random, length: number): Float32Array {
  return Float32Array.from({ length }, () => 2 ** random.integer(-9, -7));
}
