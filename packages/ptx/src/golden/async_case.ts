import type { Kernel, KernelBuilder, Ops } from '../builder/kernel.ts';
import { defineKernel } from '../builder/kernel.ts';
import type { SharedArray } from '../builder/shared.ts';
import { bytesOf, type MemType } from '../ir/types.ts';
import { global, type PointerParam, type TensorMapParam, tensorMap } from '../layout/params.ts';
import { type Field, field, type SharedDecls } from '../layout/shared.ts';
import type { TensorElement, TensorMapDescription } from '../layout/tensor-map.ts';
import type { Data, GoldenCase } from './case.ts';

/** What a tensor map says beyond the address. */
export type MapShape = Omit<TensorMapDescription, 'address'>;

/** Options of {@link asyncCase}. */
export interface AsyncCaseOptions<I extends MemType, O extends MemType, S extends SharedDecls> {
  readonly input: Data<I>;
  readonly output: O;
  /** Elements of the output. */
  readonly count: number;
  readonly shared?: S;
  /** The map over the input, and the one over the output. */
  readonly source?: MapShape;
  readonly target?: MapShape;
  readonly threads?: number;
  readonly grid?: number;
  /** CTAs of a cluster. */
  readonly cluster?: number;
  /** Content of the output before the launch; zero unless given. */
  readonly initial?: Uint8Array<ArrayBuffer>;
}

/** A kernel over one input and one output with a tensor map over each, and four barriers. */
export type AsyncCaseBuilder<
  I extends MemType,
  O extends MemType,
  S extends SharedDecls,
> = KernelBuilder<
  {
    x: PointerParam<I>;
    out: PointerParam<O>;
    source: TensorMapParam<TensorElement>;
    target: TensorMapParam<TensorElement>;
  },
  S & { readonly bar: Field<'b64'> }
>;

/** A map that fits any buffer of 16 bytes, for cases that use none. */
const any: MapShape = { element: 'u8', dims: [16], strides: [], box: [16] };

/** A case with asynchronous copies: its kernel also gets tensor maps and memory barriers. */
export function asyncCase<
  I extends MemType,
  O extends MemType,
  const S extends SharedDecls = Record<never, never>,
>(
  family: string,
  name: string,
  options: AsyncCaseOptions<I, O, S>,
  build: (k: AsyncCaseBuilder<I, O, S>) => void,
): GoldenCase {
  const { input, output, count, threads = 128, grid = 1, cluster = 1 } = options;
  const { source = any, target = any } = options;
  const kernel = defineKernel(
    {
      name: `golden_${name.replace(/\W+/g, '_')}`,
      params: {
        x: global(input.type),
        out: global(output),
        source: tensorMap(source.element),
        target: tensorMap(target.element),
      },
      shared: { ...options.shared, bar: field('b64', [4]) },
      block: [threads],
      cluster: [cluster],
    },
    (k) => build(k as unknown as AsyncCaseBuilder<I, O, S>),
  );
  const bytes = options.initial ?? new Uint8Array(count * bytesOf(output));
  return {
    family,
    name,
    kernel: kernel as unknown as Kernel,
    target: 'sm_90a',
    grid: [grid, 1, 1],
    buffers: [
      { name: 'x', bytes: input.bytes, output: false },
      { name: 'out', bytes, output: true },
    ],
    maps: [
      { name: 'source', buffer: 'x', map: source },
      { name: 'target', buffer: 'out', map: target },
    ],
    tolerance: { kind: 'exact' },
  };
}

/** Makes barriers of so many arrivals that copies and the cluster may use. */
export function makeBarriers(
  k: Ops & { readonly shared: { readonly bar: SharedArray<'b64'> } },
  ...counts: readonly number[]
): void {
  k.if(k.threadIdx.x.eq(0), () => {
    counts.forEach((count, i) => {
      k.mbarrierInit(k.shared.bar.at(i), count);
    });
    k.fenceMbarrierInit();
  });
  k.clusterBarrier();
}
