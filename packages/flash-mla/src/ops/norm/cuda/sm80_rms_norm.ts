import {
  defineKernel,
  field,
  global,
  type Kernel,
  type Ops,
  type ParamDecls,
  type Pointer,
  segmentSum,
  unpackBf16x2,
  type Value,
} from '@flash-mla/ptx';
import { beginOverlapped } from '../../kernel-lib/cuda/overlap.ts';
import {
  columnsPerThread,
  encodeColumns,
  loadColumns,
  type Presence,
  presenceOf,
  type RowDType,
  type RowLayout,
  storeColumns,
} from '../../kernel-lib/cuda/rows/columns.ts';
import { largestE4m3, leastMagnitude, scaleColumns } from '../limits.ts';

/** What the code of RMSNorm depends on. */
export interface RmsNormConfig {
  readonly columns: number;
  readonly x: RowLayout<RowDType>;
  readonly residual: RowLayout<RowDType> | undefined;
  readonly weight: RowLayout<RowDType>;
  readonly out: RowLayout;
  readonly powerOfTwoScales: boolean;
}

const params = {
  x: global('u8'),
  /** 0 where there is none. */
  residual: global('u8'),
  weight: global('u8'),
  out: global('u8'),
  /** f32 (rows, columns / 128); 0 where there are none. */
  scales: global('f32'),
  /** Bytes between rows. */
  xStride: 'u64',
  residualStride: 'u64',
  outStride: 'u64',
  eps: 'f32',
} as const satisfies ParamDecls;

export type RmsNormParams = typeof params;

/** Threads of a CTA, and how often each takes eight columns. */
export function shapeOf(columns: number) {
  const units = Math.ceil(columns / columnsPerThread);
  const perThread = Math.ceil(units / 512);
  const threads = Math.ceil(Math.ceil(units / perThread) / 32) * 32;
  return { threads, perThread };
}

/**
 * A CTA takes a row and keeps it in registers, eight columns a thread: everything is read once. The
 * sums of the warps meet in shared memory and are added in a fixed order.
 */
export function buildRmsNorm(config: RmsNormConfig): Kernel<RmsNormParams> {
  const { columns, x, residual, weight, out } = config;
  const { threads, perThread } = shapeOf(columns);
  const warps = threads / 32;
  return defineKernel(
    { name: 'sm80_rms_norm', params, shared: { partial: field('f32', [warps]) }, block: [threads] },
    (k, p) => {
      beginOverlapped(k);
      const row = k.widen(k.blockIdx.x).named('row');
      const units = Array.from({ length: perThread }, (_, i) => {
        const column = k.threadIdx.x.add(i * threads).mul(columnsPerThread);
        return { column, presence: presenceOf(column, columns) };
      });
      const rowOfX = p.x.at(row.mul(p.xStride));
      const at = (from: Pointer<'global', 'u8'>, { dtype }: RowLayout, column: Value<'u32'>) =>
        from.at(k.widen(column).mul(dtype === 'f32' ? 4 : dtype === 'bf16' ? 2 : 1));

      const values = k.section('load', () =>
        units.map(({ column, presence }) => loadColumns(k, at(rowOfX, x, column), x, presence)),
      );
      if (residual) {
        const rowOfResidual = p.residual.at(row.mul(p.residualStride));
        k.section('add to the residual', () =>
          units.forEach(({ column, presence }, i) => {
            const place = at(rowOfResidual, residual, column);
            const added = loadColumns(k, place, residual, presence);
            const sums = (values[i] ?? []).map((v, c) => v.add(added[c] as Value<'f32'>));
            storeColumns(k, place, residual, presence, sums);
            rounded(k, residual.dtype, sums).forEach((sum, c) => {
              values[i]?.[c]?.set(sum);
            });
          }),
        );
      }
      const scale = k.section('mean of squares', () => {
        const squares = values.flat().map((v) => v.mul(v));
        const ofWarp = segmentSum(
          k,
          squares.reduce((a, b) => a.add(b)),
        );
        k.if(k.laneId.eq(0), () => k.shared.partial.at(k.warpId).store(ofWarp));
        k.barrier();
        const partial = Array.from({ length: warps }, (_, w) => k.shared.partial.at(w).load());
        const mean = partial.reduce((a, b) => a.add(b)).mul(1 / columns);
        return k.rsqrt(mean.add(p.eps)).named('scale');
      });
      k.section('scale and store', () => {
        const rowOfOut = p.out.at(row.mul(p.outStride));
        units.forEach(({ column, presence }, i) => {
          const gains = loadColumns(k, at(p.weight, weight, column), weight, presence);
          const scaled = (values[i] ?? []).map((v, c) =>
            v.mul(scale).mul(gains[c] as Value<'f32'>),
          );
          const place = at(rowOfOut, out, column);
          if (out.dtype !== 'e4m3') storeColumns(k, place, out, presence, scaled);
          else {
            const group = k.widen(column.div(scaleColumns));
            const scales = p.scales.at(row.mul(columns / scaleColumns)).at(group);
            storeQuantized(k, config, place, scales, presence, scaled);
          }
        });
      });
    },
  );
}

/** Values as they are once they have been stored. */
function rounded(k: Ops, dtype: RowDType, values: readonly Value<'f32'>[]): Value<'f32'>[] {
  if (dtype === 'f32') return [...values];
  return encodeColumns(k, dtype, values).flatMap((word) => unpackBf16x2(k, word.as('bf16x2')));
}

/** Sixteen neighbouring lanes hold the 128 columns of a scale. */
function storeQuantized(
  k: Ops,
  { out, powerOfTwoScales }: RmsNormConfig,
  to: Pointer<'global', 'u8'>,
  scales: Pointer<'global', 'f32'>,
  presence: Presence,
  values: readonly Value<'f32'>[],
): void {
  let largest = values.map((v) => v.abs()).reduce((a, b) => k.maxNan(a, b));
  for (let distance = 8; distance >= 1; distance /= 2) {
    largest = k.maxNan(largest, k.shuffleXor(largest, distance));
  }
  largest = k.maxNan(largest, leastMagnitude);
  let scale: Value<'f32'> = k.divRn(largest, k.constant('f32', largestE4m3));
  if (powerOfTwoScales) {
    const bits = scale.as('u32');
    const raised = bits.add(0x7fffff).and(0xff800000);
    scale = k.select(bits.lt(0x7f800000), raised, bits, 'u32').as('f32');
  }
  k.if(presence.all.and(k.laneId.rem(scaleColumns / columnsPerThread).eq(0)), () => {
    scales.store(scale);
  });
  const inverse = k.rcpRn(scale);
  storeColumns(
    k,
    to,
    out,
    presence,
    values.map((v) => v.mul(inverse)),
  );
}
