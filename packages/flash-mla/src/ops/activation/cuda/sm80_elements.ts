import {
  defineKernel,
  global,
  type Kernel,
  type Ops,
  type ParamDecls,
  type Value,
} from '@flash-mla/ptx';
import { beginOverlapped } from '../../kernel-lib/cuda/overlap.ts';
import {
  loadColumns,
  type RowDType,
  type RowLayout,
  storeColumns,
} from '../../kernel-lib/cuda/rows/columns.ts';
import { mappedColumns, mapThreads, placeOf } from '../../kernel-lib/cuda/rows/map.ts';

/** What the code depends on. */
export interface ElementsConfig {
  readonly columns: number;
  readonly x: RowLayout<RowDType>;
  readonly out: RowLayout<RowDType>;
}

const swiGluParams = {
  x: global('u8'),
  out: global('u8'),
  /** Bytes between rows. */
  xStride: 'u64',
  outStride: 'u64',
} as const satisfies ParamDecls;

const addScaledParams = { ...swiGluParams, scale: 'f32' } as const satisfies ParamDecls;

export type SwiGluParams = typeof swiGluParams;
export type AddScaledParams = typeof addScaledParams;

/** g / (1 + e^-g): 0 where e^-g is infinite. */
export function silu(k: Ops, g: Value<'f32'>): Value<'f32'> {
  return g.mul(k.rcp(k.ex2(g.mul(-Math.LOG2E)).add(1)));
}

export function buildSwiGlu({ columns, x, out }: ElementsConfig): Kernel<SwiGluParams> {
  const options = { name: 'sm80_swi_glu', params: swiGluParams, block: [mapThreads] } as const;
  return defineKernel(options, (k, p) => {
    beginOverlapped(k);
    const { row, column, presence } = mappedColumns(k, columns);
    const from = placeOf(k, p.x, x, p.xStride, row, column);
    const skip = columns * (x.dtype === 'f32' ? 4 : 2);
    const gates = loadColumns(k, from, x, presence);
    const ups = loadColumns(k, from.bytes(skip), x, presence);
    const values = gates.map((gate, i) => silu(k, gate).mul(ups[i] as Value<'f32'>));
    storeColumns(k, placeOf(k, p.out, out, p.outStride, row, column), out, presence, values);
  });
}

export function buildAddScaled({ columns, x, out }: ElementsConfig): Kernel<AddScaledParams> {
  const options = {
    name: 'sm80_add_scaled',
    params: addScaledParams,
    block: [mapThreads],
  } as const;
  return defineKernel(options, (k, p) => {
    beginOverlapped(k);
    const { row, column, presence } = mappedColumns(k, columns);
    const added = loadColumns(k, placeOf(k, p.x, x, p.xStride, row, column), x, presence);
    const place = placeOf(k, p.out, out, p.outStride, row, column);
    const values = loadColumns(k, place, out, presence);
    const sums = values.map((value, i) => k.fma(added[i] as Value<'f32'>, p.scale, value));
    storeColumns(k, place, out, presence, sums);
  });
}
