import {
  type CudaKernel,
  defineCudaKernel,
  type KernelSpec,
} from '../../../runtime/cuda/kernel.ts';
import type { TensorView } from '../../../runtime/tensor/view.ts';
import { mapGrid } from '../../kernel-lib/cuda/rows/map.ts';
import {
  layoutKey,
  layoutOf,
  type RowsProblem,
  rowsOf,
  strideBytes,
} from '../../kernel-lib/cuda/rows/problem.ts';
import {
  type AddScaledArgs,
  addScaledOperation,
  type SwiGluArgs,
  swiGluOperation,
} from '../operation.ts';
import {
  type AddScaledParams,
  buildAddScaled,
  buildSwiGlu,
  type ElementsConfig,
  type SwiGluParams,
} from './sm80_elements.ts';

/** What kernel selection sees of a call. */
export interface ElementsProblem {
  readonly rows: number;
  readonly columns: number;
  readonly x: RowsProblem;
  readonly out: RowsProblem;
}

const problemOf = (x: TensorView, out: TensorView): ElementsProblem => {
  const problem = rowsOf(x);
  const [rows = 0, columns = 0] = out.shape;
  // The second half of a row of SwiGLU begins where the first one ends.
  const half = columns * (x.dtype === 'f32' ? 4 : 2);
  const alignment =
    x.shape[1] === columns ? problem.alignment : Math.min(problem.alignment, half & -half);
  return { rows, columns, x: { ...problem, alignment }, out: rowsOf(out) };
};

const configOf = ({ columns, x, out }: ElementsProblem): ElementsConfig => ({
  columns,
  x: layoutOf(x),
  out: layoutOf(out),
});

const keyOf = (problem: ElementsProblem) => {
  const { columns, x, out } = configOf(problem);
  return { columns, x: layoutKey(x), out: layoutKey(out) };
};

function planFor<P extends SwiGluParams | AddScaledParams>(
  kernel: KernelSpec<ElementsConfig, P>,
  problem: ElementsProblem,
) {
  const grid = mapGrid(problem.rows, problem.columns);
  return {
    launches: { main: { kernel, config: configOf(problem), grid, overlap: true } },
    workspaceBytes: 0,
  };
}

type Plan<P extends SwiGluParams | AddScaledParams> = ReturnType<typeof planFor<P>>;

const swiGluSpec: KernelSpec<ElementsConfig, SwiGluParams> = {
  name: 'sm80_swi_glu',
  build: buildSwiGlu,
};
const addScaledSpec: KernelSpec<ElementsConfig, AddScaledParams> = {
  name: 'sm80_add_scaled',
  build: buildAddScaled,
};

/** SwiGLU on every GPU. */
export const portableSwiGlu = {
  operation: swiGluOperation,
  problemOf: ({ x, out }) => problemOf(x, out),
  keyOf,
  plan: (problem) => planFor(swiGluSpec, problem),
  bind(context, { launches }) {
    const main = context.prepare(launches.main);
    return ({ x, out }, { rows, columns }, call) => {
      main.set.x(context.address(x));
      main.set.out(context.address(out));
      main.set.xStride(strideBytes(x));
      main.set.outStride(strideBytes(out));
      main.enqueue(call, mapGrid(rows, columns));
    };
  },
} satisfies CudaKernel<SwiGluArgs, ElementsProblem, Plan<SwiGluParams>>;

/** Rows added to others on every GPU. */
export const portableAddScaled = {
  operation: addScaledOperation,
  problemOf: ({ x, target }) => problemOf(x, target),
  keyOf,
  plan: (problem) => planFor(addScaledSpec, problem),
  bind(context, { launches }) {
    const main = context.prepare(launches.main);
    return ({ x, target, scale }, { rows, columns }, call) => {
      main.set.x(context.address(x));
      main.set.out(context.address(target));
      main.set.xStride(strideBytes(x));
      main.set.outStride(strideBytes(target));
      main.set.scale(scale);
      main.enqueue(call, mapGrid(rows, columns));
    };
  },
} satisfies CudaKernel<AddScaledArgs, ElementsProblem, Plan<AddScaledParams>>;

export const activationCudaKernels = [
  defineCudaKernel(portableSwiGlu),
  defineCudaKernel(portableAddScaled),
];
