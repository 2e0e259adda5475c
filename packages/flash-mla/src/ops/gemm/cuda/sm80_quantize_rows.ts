import {
  defineKernel,
  f32ToE4m3x2,
  global,
  type Kernel,
  type ParamDecls,
  segmentMax,
  unpackBf16x2,
  type Value,
} from '@flash-mla/ptx';

const params = {
  /** bf16 (rows, depth), rows aligned to 8 bytes. */
  x: global('u8'),
  /** e4m3 (rows, depth), contiguous. */
  codes: global('b32'),
  /** f32 (depth / 128, paddedRows). */
  scales: global('f32'),
  rows: 'u32',
  /** Blocks of 128 of the depth. */
  blocks: 'u32',
  paddedRows: 'u32',
  /** Bytes between rows. */
  xStride: 'u64',
} as const satisfies ParamDecls;

export type QuantizeParams = typeof params;

/** Elements that share a scale, and those of a lane. */
const blockDepth = 128;
const perLane = blockDepth / 32;
const warps = 8;
/** The largest e4m3 number, and the least largest number of a block. */
const largest = 448;
const least = 1e-4;

export const quantizeGrid = (paddedRows: number, blocks: number) =>
  [Math.ceil(blocks / warps), paddedRows, 1] as const;

/** Rows of bf16 as e4m3, with a scale for each 128 of the depth: a warp takes a block. Grid: (blocks / 8, padded rows): scales of rows that are not there are 0. */
export function buildQuantizeRows(_: Record<never, never>): Kernel<QuantizeParams> {
  const options = { name: 'sm80_quantize_rows', params, block: [warps * 32] as const };
  return defineKernel(options, (k, p) => {
    if (k.target.sm >= 90) {
      k.launchDependents();
      k.waitForDependencies();
    }
    const block = k.mad(k.blockIdx.x, warps, k.warpId).named('block');
    k.if(block.ge(p.blocks), () => k.exit(), { uniform: true });
    const row = k.blockIdx.y;
    const scale = p.scales.at(k.mulWide(block, p.paddedRows)).at(row);
    const isLeader = k.laneId.eq(0);
    k.if(
      row.ge(p.rows),
      () => {
        k.if(isLeader, () => scale.store(0));
        k.exit();
      },
      { uniform: true },
    );
    const column = k.mad(block, blockDepth, k.laneId.mul(perLane)).named('column');
    const from = p.x
      .bytes(k.widen(row).mul(p.xStride))
      .bytes(k.widen(column.mul(2)))
      .as('b32');
    const values = from.loadVec(2).flatMap((word) => unpackBf16x2(k, word.as('bf16x2')));
    const most = segmentMax(
      k,
      values.map((value) => value.abs()).reduce((a, b) => a.max(b)),
    ).max(least);
    const inverse = k.divRn(k.constant('f32', largest), most);
    const [low, high] = [0, 2].map((i) =>
      f32ToE4m3x2(
        k,
        (values[i] as Value<'f32'>).mul(inverse),
        (values[i + 1] as Value<'f32'>).mul(inverse),
      ),
    );
    if (!low || !high) return;
    const codes = p.codes.at(k.mulWide(row, p.blocks.mul(blockDepth / 4)));
    codes.at(column.shr(2)).store(k.join(low, high).as('b32'));
    k.if(isLeader, () => scale.store(most.mul(1 / largest)));
  });
}
