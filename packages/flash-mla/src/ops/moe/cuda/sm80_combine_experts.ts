import { defineKernel, global, type Kernel, type ParamDecls, type Value } from '@flash-mla/ptx';
import {
  loadColumns,
  type RowDType,
  type RowLayout,
  storeColumns,
} from '../../kernel-lib/cuda/rows/columns.ts';
import { mappedColumns, mapThreads, placeOf } from '../../kernel-lib/cuda/rows/map.ts';

/** What the code depends on. */
export interface CombineConfig {
  readonly columns: number;
  readonly topK: number;
  readonly experts: number;
  readonly residual: RowLayout<RowDType> | undefined;
  readonly out: RowLayout<RowDType>;
}

const params = {
  ids: global('u32'),
  weights: global('f32'),
  /** f32 (pairs, columns). */
  parts: global('f32'),
  residual: global('u8'),
  out: global('u8'),
  /** Bytes between rows. */
  residualStride: 'u64',
  outStride: 'u64',
} as const satisfies ParamDecls;

export type CombineParams = typeof params;

/** Adds the weighted results of a row's experts, in their order. */
export function buildCombineExperts(config: CombineConfig): Kernel<CombineParams> {
  const { columns, topK, experts, residual, out } = config;
  const part: RowLayout<RowDType> = { dtype: 'f32', alignment: columns % 4 === 0 ? 16 : 4 };
  const options = { name: 'sm80_combine_experts', params, block: [mapThreads] } as const;
  return defineKernel(options, (k, p) => {
    if (k.target.sm >= 90) {
      k.launchDependents();
      k.waitForDependencies();
    }
    const { row, column, presence } = mappedColumns(k, columns);
    const sums = residual
      ? loadColumns(
          k,
          placeOf(k, p.residual, residual, p.residualStride, row, column),
          residual,
          presence,
        )
      : k.vars('f32', 8, 0);
    k.for({ to: topK, unroll: false }, (i) => {
      const pair = k.mad(row, topK, i);
      k.if(p.ids.at(pair).load().lt(experts), () => {
        const weight = p.weights.at(pair).load();
        const values = loadColumns(
          k,
          p.parts.at(k.mulWide(pair, columns)).at(column),
          part,
          presence,
        );
        values.forEach((value, c) => {
          sums[c]?.set(k.fma(value, weight, sums[c] as Value<'f32'>));
        });
      });
    });
    storeColumns(k, placeOf(k, p.out, out, p.outStride, row, column), out, presence, sums);
  });
}
