import {
  global,
  type Ops,
  type ParamDecls,
  type ParamValues,
  type Pointer,
  type Value,
} from '@flash-mla/ptx';
import { loadOne, type RowDType, type RowLayout } from '../../kernel-lib/cuda/rows/columns.ts';

/** What the code of every product depends on. */
export interface GemmConfig {
  readonly x: RowLayout<RowDType>;
  readonly weight: RowLayout;
  readonly bias: RowDType | undefined;
  readonly residual: RowDType | undefined;
  readonly out: RowDType;
  /** Rows that a CTA computes. */
  readonly rowTile: number;
  /** Whether rows end with eight elements; else they are looked at one by one at their ends. */
  readonly wholeUnits: boolean;
}

export const gemmParams = {
  x: global('u8'),
  weight: global('u8'),
  /** f32 (⌈columns / 128⌉, ⌈depth / 128⌉); 0 where there are none, as with the next two. */
  weightScales: global('f32'),
  bias: global('u8'),
  residual: global('u8'),
  out: global('u8'),
  rows: 'u32',
  columns: 'u32',
  depth: 'u32',
  /** Elements between rows of scales. */
  scalesStride: 'u32',
  scale: 'f32',
  /** 1 where no kernel has written the weights: they may be fetched before the kernels ahead have ended. */
  fetchesEarly: 'u32',
  /** All strides in bytes: of rows, and of matrices of the batch. */
  xStride: 'u64',
  xBatchStride: 'u64',
  weightStride: 'u64',
  weightBatchStride: 'u64',
  residualStride: 'u64',
  residualBatchStride: 'u64',
  outStride: 'u64',
  outBatchStride: 'u64',
} as const satisfies ParamDecls;

export type GemmParams = typeof gemmParams;

/** Elements that the columns of e4m3 weights, and their rows, share a scale with. */
export const scaleShift = 7;

const sizes = { f32: 4, bf16: 2, e4m3: 1 } as const;

export const bytesOfRow = (dtype: RowLayout['dtype']) => sizes[dtype];

/** The parameters, with the matrices of this CTA's place in the batch. */
export function matricesOf(k: Ops, p: ParamValues<GemmParams>) {
  const batch = k.widen(k.blockIdx.z);
  return {
    x: p.x.bytes(batch.mul(p.xBatchStride)),
    weight: p.weight.bytes(batch.mul(p.weightBatchStride)),
    residual: p.residual.bytes(batch.mul(p.residualBatchStride)),
    out: p.out.bytes(batch.mul(p.outBatchStride)),
  };
}

export type Matrices = ReturnType<typeof matricesOf>;

/** The element of a row and a column, in matrices whose elements are of `dtype`. */
export function elementOf(
  k: Ops,
  matrix: Pointer<'global', 'u8'>,
  dtype: RowLayout['dtype'],
  stride: Value<'u64'>,
  row: Value<'u32'>,
  column: Value<'u32'>,
): Pointer<'global', 'u8'> {
  return matrix.bytes(k.widen(row).mul(stride)).bytes(k.widen(column).mul(sizes[dtype]));
}

/** A sum → an element of the result, which is there. */
export function finish(
  k: Ops,
  config: GemmConfig,
  p: ParamValues<GemmParams>,
  { residual, out }: Matrices,
  sum: Value<'f32'>,
  row: Value<'u32'>,
  column: Value<'u32'>,
): void {
  let value = sum;
  if (config.bias) {
    const at = p.bias.bytes(k.widen(column).mul(sizes[config.bias]));
    value = value.add(loadOne(at, config.bias));
  }
  value = value.mul(p.scale);
  if (config.residual) {
    const at = elementOf(k, residual, config.residual, p.residualStride, row, column);
    value = value.add(loadOne(at, config.residual));
  }
  const to = elementOf(k, out, config.out, p.outStride, row, column);
  if (config.out === 'f32') to.as('f32').store(value);
  else to.as('u16').store(k.packBf16x2(value, k.constant('f32', 0)).as('u32'));
}
