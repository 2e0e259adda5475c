import { defineKernel, global, type Kernel, type ParamDecls, type Value } from '@flash-mla/ptx';

/** What the code depends on. */
export interface GatherConfig {
  /** Of a row of bf16: a multiple of 8. */
  readonly columns: number;
  /** Pairs that share a row. */
  readonly topK: number;
  /** Of a row of activations. */
  readonly width: number;
}

const params = {
  x: global('u8'),
  order: global('u32'),
  /** How many tiles there are, and how many pairs of experts. */
  counts: global('u32'),
  /** bf16 (places, columns). */
  out: global('b32'),
  /** bf16 (places, width): what belongs to no pair becomes 0 here, too, since tiles reach beyond pairs. */
  activations: global('b32'),
  /** Places. */
  count: 'u32',
  /** Bytes between rows of x. */
  xStride: 'u64',
} as const satisfies ParamDecls;

export type GatherParams = typeof params;

const warps = 8;
const chunkColumns = 8;

export const gatherGrid = (pairs: number) => [Math.ceil(pairs / warps), 1, 1] as const;

/** Rows of x in the order of their experts, and zeros behind them: a warp copies a row. */
export function buildGatherRows({ columns, topK, width }: GatherConfig): Kernel<GatherParams> {
  const options = { name: 'sm80_gather_rows', params, block: [warps * 32] as const };
  return defineKernel(options, (k, p) => {
    if (k.target.sm >= 90) {
      k.waitForDependencies();
      k.launchDependents();
    }
    const place = k.mad(k.blockIdx.x, warps, k.warpId).named('place');
    k.if(place.ge(p.count), () => k.exit(), { uniform: true });
    const to = p.out.at(k.mulWide(place, columns / 2));
    const each = (length: number, visit: (word: Value<'u32'>) => void) =>
      k.for({ from: k.laneId, to: length / chunkColumns, step: 32, unroll: false }, (chunk) =>
        visit(chunk.mul(4)),
      );
    k.if(
      place.lt(p.counts.at(1).load()),
      () => {
        const row = p.order.at(place).load().div(topK);
        const from = p.x.bytes(k.widen(row).mul(p.xStride)).as('b32');
        each(columns, (word) => to.at(word).storeVec(from.at(word).loadVec(4)));
      },
      () => {
        const zeros = [0, 0, 0, 0].map((zero) => k.constant('b32', zero));
        const activations = p.activations.at(k.mulWide(place, width / 2));
        each(columns, (word) => to.at(word).storeVec(zeros));
        each(width, (word) => activations.at(word).storeVec(zeros));
      },
    );
  });
}
