import type { HostTensor } from '@flash-mla/core';
import type { Tensor } from '../../runtime/tensor/tensor.ts';
import { defineCases, type ExpectedAnswer } from '../conformance/suite/define-cases.ts';
import { drawNormals } from '../conformance/suite/draw-rows.ts';
import { exact, roundingOf } from '../conformance/tolerance.ts';
import { scaleColumns } from './limits.ts';
import { rmsNorm as normReference, type RmsNormProblem, scaleRows } from './reference.ts';
import { type NormDType, type NormOutDType, rmsNorm } from './rms-norm.ts';

interface RmsNormParams {
  readonly op: 'rms-norm';
  readonly rows: number;
  readonly columns: number;
  readonly x: NormDType;
  readonly out: NormOutDType;
  /** Dtype of a residual. */
  readonly residual?: NormDType;
  /** Default that of `x`. */
  readonly weight?: NormDType;
  readonly ue8m0?: boolean;
  /** Elements of poison between rows. */
  readonly gap?: number;
  readonly graph?: boolean;
}

const op = 'rms-norm';

const quick: readonly RmsNormParams[] = [
  { op, rows: 3, columns: 2048, x: 'bf16', out: 'bf16' },
  { op, rows: 1, columns: 512, x: 'bf16', out: 'bf16', residual: 'bf16' },
  { op, rows: 5, columns: 576, x: 'bf16', out: 'f32', residual: 'f32', gap: 8 },
  { op, rows: 4, columns: 768, x: 'f32', out: 'bf16', residual: 'bf16', weight: 'bf16' },
  { op, rows: 2, columns: 7168, x: 'f32', out: 'f32', residual: 'f32' },
  { op, rows: 7, columns: 37, x: 'bf16', out: 'bf16', residual: 'bf16', gap: 1 },
  { op, rows: 3, columns: 1, x: 'f32', out: 'f32' },
  { op, rows: 5, columns: 36, x: 'bf16', out: 'f32', weight: 'f32', gap: 2 },
  { op, rows: 3, columns: 1536, x: 'bf16', out: 'e4m3' },
  { op, rows: 2, columns: 128, x: 'f32', out: 'e4m3', ue8m0: true },
  { op, rows: 3, columns: 2048, x: 'bf16', out: 'e4m3', residual: 'bf16', ue8m0: true, gap: 8 },
  { op, rows: 3, columns: 512, x: 'bf16', out: 'bf16', residual: 'bf16', graph: true },
];

const full: readonly RmsNormParams[] = [256, 2560, 5120, 6144, 32768].flatMap((columns) =>
  [1, 33, 300].flatMap((rows) =>
    (['bf16', 'f32'] as const).flatMap((x) =>
      (['bf16', 'f32', 'e4m3'] as const).flatMap((out) => [
        { op, rows, columns, x, out } as const,
        { op, rows, columns, x, out, residual: x } as const,
      ]),
    ),
  ),
);

export const rmsNormCases = defineCases<RmsNormParams, RmsNormProblem>({
  quick,
  full,
  cost: ({ rows, columns }) => rows * columns * 20,

  problem({ rows, columns, x, residual, weight = x }, random) {
    const shape = [rows, columns];
    const draw = <D extends NormDType>(name: string, dtype: D, of: readonly number[]) =>
      drawNormals(random.stream(name), dtype, of, name === 'residual' ? 3 : 1);
    return {
      x: draw('x', x, shape),
      weight: draw('weight', weight, [columns]),
      residual: residual && draw('residual', residual, shape),
      eps: 1e-5,
    };
  },

  expected(problem, { out, ue8m0 = false, columns }) {
    const { out: values, residual } = normReference(problem);
    const answers: Record<string, ExpectedAnswer> = {};
    if (residual) answers.residual = { values: residual, rowLength: columns, tolerance: exact };
    if (out !== 'e4m3') {
      answers.out = { values, rowLength: columns, tolerance: roundingOf(out) };
      return answers;
    }
    const scaled = scaleRows(values, ue8m0);
    const rowLength = columns / scaleColumns;
    answers.out = { values: scaled.values, rowLength: columns, tolerance: roundingOf('e4m3') };
    answers.scales = { values: scaled.scales, rowLength, tolerance: roundingOf('f32') };
    return answers;
  },

  upload(uploads, { x, weight, residual, eps }, { out: dtype, ue8m0, gap = 0, rows, columns }) {
    const put = <D extends NormDType>(host: HostTensor<D>) =>
      gap > 0 ? uploads.putStrided(host, gap) : uploads.put(host);
    const isE4m3 = dtype === 'e4m3';
    const options = {
      ...{ x: put(x), weight: uploads.put(weight), eps, dtype },
      residual: residual && put(residual),
      out: uploads.poisoned([rows, columns], dtype),
      ...(isE4m3 && { scales: uploads.poisoned([rows, columns / scaleColumns], 'f32') }),
      ...(ue8m0 && { scaleFormat: 'ue8m0' as const }),
    };
    return () => {
      const { out, scales } = rmsNorm(options);
      return {
        out: out as Tensor,
        ...(scales && { scales: scales as Tensor }),
        ...(options.residual && { residual: options.residual as Tensor }),
      };
    };
  },
});
