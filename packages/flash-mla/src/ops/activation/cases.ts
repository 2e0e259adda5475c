import type { HostTensor } from '@flash-mla/core';
import type { Tensor } from '../../runtime/tensor/tensor.ts';
import { defineCases } from '../conformance/suite/define-cases.ts';
import { drawNormals } from '../conformance/suite/draw-rows.ts';
import { roundingOf } from '../conformance/tolerance.ts';
import { addScaled } from './add-scaled.ts';
import { addScaled as addReference, swiGlu as gluReference } from './reference.ts';
import { type ElementDType, swiGlu } from './swi-glu.ts';

interface ElementsParams {
  readonly op: 'swi-glu' | 'add-scaled';
  readonly rows: number;
  readonly columns: number;
  readonly x: ElementDType;
  /** Of the result or the target. */
  readonly out: ElementDType;
  readonly scale?: number;
  readonly gap?: number;
  readonly graph?: boolean;
}

interface ElementsProblem {
  readonly x: HostTensor;
  /** What is added to. */
  readonly target: HostTensor;
}

const glu = { op: 'swi-glu', x: 'bf16', out: 'bf16' } as const;
const add = { op: 'add-scaled', x: 'bf16', out: 'bf16' } as const;

const quick: readonly ElementsParams[] = [
  { ...glu, rows: 3, columns: 1408 },
  { ...glu, rows: 9, columns: 64, gap: 8 },
  { ...glu, rows: 4, columns: 37, gap: 1 },
  { ...glu, rows: 2, columns: 100, out: 'f32' },
  { ...glu, rows: 2, columns: 6144, x: 'f32', out: 'f32' },
  { ...glu, rows: 5, columns: 1, x: 'f32', graph: true },
  { ...add, rows: 3, columns: 2048, scale: 0.5 },
  { ...add, rows: 7, columns: 33, gap: 1 },
  { ...add, rows: 5, columns: 256, x: 'f32', out: 'f32', scale: -3, gap: 4 },
  { ...add, rows: 4, columns: 96, out: 'f32', graph: true },
];

const full: readonly ElementsParams[] = [1, 17, 300].flatMap((rows) =>
  [1536, 2048, 11264].flatMap((columns): ElementsParams[] =>
    (['bf16', 'f32'] as const).flatMap((out) => [
      { ...glu, rows, columns, out },
      { ...add, rows, columns, out },
    ]),
  ),
);

export const activationCases = defineCases<ElementsParams, ElementsProblem>({
  quick,
  full,
  cost: ({ rows, columns }) => rows * columns * 20,

  problem: ({ op, rows, columns, x, out }, random) => ({
    x: drawNormals(random.stream('x'), x, [rows, op === 'swi-glu' ? 2 * columns : columns], 2),
    target: drawNormals(random.stream('target'), out, [rows, columns], 1),
  }),

  expected: ({ x, target }, { op, columns, out, scale = 1 }) => ({
    out: {
      values: op === 'swi-glu' ? gluReference(x) : addReference(target, x, scale),
      ...{ rowLength: columns, tolerance: roundingOf(out) },
    },
  }),

  upload(uploads, problem, { op, rows, columns, out: dtype, scale, gap = 0 }) {
    const put = (host: HostTensor) =>
      (gap > 0 ? uploads.putStrided(host, gap) : uploads.put(host)) as Tensor<ElementDType>;
    const x = put(problem.x);
    if (op === 'swi-glu') {
      const out = uploads.poisoned([rows, columns + gap], dtype).slice(1, 0, columns);
      return () => ({ out: swiGlu({ x, out }) });
    }
    const target = put(problem.target);
    return () => ({ out: addScaled({ target, x, scale }) });
  },
});
