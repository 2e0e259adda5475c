import {
  defineKernel,
  e4m3x4ToF16x2,
  e8m0ToF32,
  type Kernel,
  type Ops,
  packPair,
  unpackF16x2,
  type Value,
} from '@flash-mla/ptx';
import { loadWords } from '../../kernel-lib/cuda/sm80/copy.ts';
import {
  laneShares,
  type PackedToken,
  type PackRowsConfig,
  type PackRowsParams,
  packRowsParams,
  packThreads,
  storeWords,
  valuesPerLane,
  warpToken,
} from './packed/token.ts';

/** Unpacks FP8 rows to bf16 rows, bit for bit like `decodePackedRow`. Grid: (⌈tokens / 8⌉). */
export function buildDequantizeKvCache(config: PackRowsConfig): Kernel<PackRowsParams> {
  const { layout, rowAlignment, packedAlignment } = config;
  const { valueLanes, values } = laneShares(layout);
  const options = {
    name: 'sm80_dequantize_kv_cache',
    params: packRowsParams,
    block: [packThreads],
  } as const;
  return defineKernel(options, (k, p) => {
    const lane = k.laneId;
    const token = warpToken(k, config, p);
    const hasValues = lane.lt(valueLanes);
    const isRope = layout === 'v32' ? lane.lt(8) : lane.ge(valueLanes);
    const ropeLane = layout === 'v32' ? lane : lane.sub(valueLanes);
    const ropeBytes = layout === 'v32' ? 16 : 32;

    const from = token.values.at(lane.mul(valuesPerLane));
    const words = loadWords(k, from, 4, packedAlignment, hasValues);
    const ropeFrom = token.rope.at(ropeLane.mul(ropeBytes));
    const rope = Array.from({ length: ropeBytes / 16 }, (_, i) =>
      loadWords(k, ropeFrom.at(16 * i), 4, packedAlignment, isRope),
    ).flat();
    k.if(hasValues, () => {
      const scale = readScale(k, config, token, lane);
      const pairs = words.flatMap((word) => decode(k, word, scale));
      storeWords(token.row.at(lane.mul(valuesPerLane)), pairs, rowAlignment);
    });
    k.if(isRope, () => {
      storeWords(token.row.at(values).at(ropeLane.mul(ropeBytes / 2)), rope, rowAlignment);
    });
  });
}

/** The scale of a lane's values. */
function readScale(
  k: Ops,
  { layout }: PackRowsConfig,
  { scales }: PackedToken,
  lane: Value<'u32'>,
): Value<'f32'> {
  const index = lane.div(laneShares(layout).lanesPerScale);
  if (layout === 'v32') return scales.as('f32').at(index).load({ nc: true });
  const code = scales.at(index).load({ nc: true });
  return k.select(code.eq(255), Number.NaN, e8m0ToF32(k, code), 'f32');
}

/** Four e4m3 times the scale, as two pairs of bf16. */
function decode(k: Ops, word: Value<'b32'>, scale: Value<'f32'>): Value<'b32'>[] {
  return e4m3x4ToF16x2(k, word.as('e4m3x4'), { nan: true }).map((pair) => {
    const [lo, hi] = unpackF16x2(k, pair);
    return packPair(k, 'bf16', lo.mul(scale), hi.mul(scale)).as('b32');
  });
}
