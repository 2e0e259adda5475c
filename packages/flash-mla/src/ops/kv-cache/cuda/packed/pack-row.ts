import { f32ToE4m3x2, type Ops, type Pointer, unpackBf16x2, type Value } from '@flash-mla/ptx';
import { loadWords } from '../../../kernel-lib/cuda/sm80/copy.ts';
import {
  laneShares,
  type PackedToken,
  type PackRowsConfig,
  storeWords,
  valuesPerLane,
} from './token.ts';

/** Bits of a bf16: infinity, and beyond it NaN. */
const infinity = 0x7f80;
/** Scales are powers of two from 2^-13 (the least that is not below 1e-4) on, as e8m0 codes. */
const leastScale = 127 - 13;
const greatestScale = 254;
const nanScale = 255;
const nanValues = 0x7f7f7f7f;

/** What the lanes of a warp hold of a bf16 row. */
export interface LoadedRow {
  /** 16 columns of each lane; `model1`: the last four lanes have the rope. */
  readonly words: readonly Value<'b32'>[];
  /** `v32`: 8 columns of the rope in each of the first eight lanes. */
  readonly rope: readonly Value<'b32'>[];
}

/** Loads a row into the registers of a warp. */
export function loadRow(
  k: Ops,
  { layout, rowAlignment }: PackRowsConfig,
  row: Pointer<'global', 'bf16'>,
): LoadedRow {
  const lane = k.laneId;
  const always = lane.lt(32);
  const at = row.at(lane.mul(valuesPerLane));
  // The rope of `model1` makes up for the lanes without values: every lane has 16 columns.
  const words = [0, 8].flatMap((half) => loadWords(k, at.at(half), 4, rowAlignment, always));
  if (layout === 'model1') return { words, rope: [] };
  const ropeAt = row.at(laneShares(layout).values).at(lane.mul(8));
  return { words, rope: loadWords(k, ropeAt, 4, rowAlignment, lane.lt(8)) };
}

/** Packs a row that a warp holds, bit for bit like `encodePackedRow`. */
export function packRow(
  k: Ops,
  { layout, packedAlignment }: PackRowsConfig,
  { words, rope }: LoadedRow,
  token: PackedToken,
): void {
  const lane = k.laneId;
  const { valueLanes, lanesPerScale } = laneShares(layout);
  const scale = k.section('scale', () => scaleCode(k, largest(k, words, lanesPerScale)));
  const packed = k.section('values', () => quantize(k, words, scale));
  const first = lane.rem(lanesPerScale).eq(0);
  const index = lane.div(lanesPerScale);
  if (layout === 'v32') {
    storeWords(token.values.at(lane.mul(valuesPerLane)), packed, packedAlignment);
    k.if(lane.lt(8), () => storeWords(token.rope.at(lane.mul(16)), rope, packedAlignment));
    const bits = k.select(scale.eq(nanScale), 0x7fc00000, scale.shl(23), 'u32');
    k.if(first, () => token.scales.as('u32').at(index).store(bits));
    return;
  }
  const hasValues = lane.lt(valueLanes);
  k.if(
    hasValues,
    () => storeWords(token.values.at(lane.mul(valuesPerLane)), packed, packedAlignment),
    () => storeWords(token.rope.at(lane.sub(valueLanes).mul(32)), words, packedAlignment),
  );
  // The eighth byte of the scales carries nothing: it is the first lane of the rope that writes it.
  k.if(first, () => token.scales.at(index).store(k.select<'u32'>(hasValues, scale, 0)));
}

/** The largest magnitude, as bits of a bf16, of the lanes that share a scale. NaN beats all. */
function largest(k: Ops, words: readonly Value<'b32'>[], lanes: number): Value<'u32'> {
  let max = words
    .flatMap((word) => [word.as('u32').and(0x7fff), word.as('u32').shr(16).and(0x7fff)])
    .reduce((a, b) => a.max(b));
  for (let distance = lanes / 2; distance >= 1; distance /= 2) {
    max = max.max(k.shuffleXor(max, distance));
  }
  return max;
}

/** e8m0 code of the smallest power of two that is not below magnitude / 448. */
function scaleCode(k: Ops, magnitude: Value<'u32'>): Value<'u32'> {
  // 448 is 1.75 · 2^8: the exponent less 8, and one more if the fraction (7 bits) exceeds 0.75.
  const exponent = magnitude
    .add(0x1f)
    .shr(7)
    .max(leastScale + 8)
    .sub(8);
  const code = k.select(magnitude.eq(infinity), greatestScale, exponent, 'u32');
  return k.select(magnitude.gt(infinity), nanScale, code, 'u32');
}

/** Divides pairs of bf16 by the scale and rounds them to e4m3. */
function quantize(k: Ops, words: readonly Value<'b32'>[], scale: Value<'u32'>): Value<'b32'>[] {
  // 2^(127 − code): for the greatest scale a subnormal number, whose pattern is no shifted exponent.
  const shifted = k.constant('u32', greatestScale).sub(scale).shl(23);
  const inverse = k.select(scale.eq(greatestScale), 0x00400000, shifted, 'u32').as('f32');
  const isNan = scale.eq(nanScale);
  const pairs = words.map((word) => {
    const [lo, hi] = unpackBf16x2(k, word.as('bf16x2'));
    return f32ToE4m3x2(k, lo.mul(inverse), hi.mul(inverse));
  });
  return Array.from({ length: pairs.length / 2 }, (_, i) => {
    const four = k.join(pairs[2 * i], pairs[2 * i + 1]).as('b32');
    return k.select(isNan, nanValues, four, 'b32');
  });
}
