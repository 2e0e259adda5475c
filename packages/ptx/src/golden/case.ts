import type { Kernel, KernelBuilder, Ops } from '../builder/kernel.ts';
import { defineKernel } from '../builder/kernel.ts';
import type { Operand } from '../builder/operand.ts';
import type { Value } from '../builder/value.ts';
import { bytesOf, type MemType, type RegOf } from '../ir/types.ts';
import { global, type PointerParam } from '../layout/params.ts';
import type { SharedDecls } from '../layout/shared.ts';
import type { TensorMapDescription } from '../layout/tensor-map.ts';

/** A buffer of a golden kernel: bound to the pointer parameter of the same name. */
export interface GoldenBuffer {
  readonly name: string;
  /** Content before the launch. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Whether the content after the launch is the answer. */
  readonly output: boolean;
}

/** A tensor map of a golden kernel: bound to the parameter of its name. */
export interface GoldenMap {
  readonly name: string;
  /** The buffer that it describes, from the start. */
  readonly buffer: string;
  readonly map: Omit<TensorMapDescription, 'address'>;
}

/** How close the simulator must come to the recorded answer. */
export type Tolerance =
  | { readonly kind: 'exact' }
  /** f32 outputs may differ by so many units in the last place; NaN and infinities must agree. */
  | { readonly kind: 'ulp'; readonly ulps: number }
  /** f32 outputs may differ by this much, absolutely or in proportion to the answer. */
  | { readonly kind: 'close'; readonly absolute: number; readonly relative: number };

/** A micro-kernel with its inputs: run on a GPU to record the answer, in the simulator to compare. */
export interface GoldenCase {
  /** Family, which is also the name of the file with the answers. */
  readonly family: string;
  readonly name: string;
  readonly kernel: Kernel;
  /** Architecture to emit for and to simulate. */
  readonly target: string;
  readonly grid: readonly [number, number, number];
  /** The kernel's parameters are exactly these pointers … */
  readonly buffers: readonly GoldenBuffer[];
  /** … and these tensor maps. */
  readonly maps?: readonly GoldenMap[];
  readonly tolerance: Tolerance;
}

/** Numbers of one memory type. */
export interface Data<E extends MemType> {
  readonly type: E;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** The element count of some data. */
export const countOf = (data: Data<MemType>): number => data.bytes.length / bytesOf(data.type);

const exact: Tolerance = { kind: 'exact' };
const threads = 128;

/** A kernel name out of an instruction's text: `add.f32` becomes `golden_add_f32`. */
const kernelName = (name: string): string => `golden_${name.replace(/\W+/g, '_')}`;

/** The values that a thread reads from its inputs. */
type Inputs<I extends readonly Data<MemType>[]> = { [K in keyof I]: Value<RegOf<I[K]['type']>> };

/**
 * A case in which each thread applies `f` to its own element of every input and stores the result.
 * Inputs have the same number of elements; a result of several values goes to several outputs.
 */
export function elementwise<const I extends readonly Data<MemType>[], O extends MemType>(
  family: string,
  name: string,
  inputs: I,
  output: O,
  f: (k: Ops, ...x: Inputs<I>) => Operand<RegOf<O>>,
  tolerance: Tolerance = exact,
  target = 'sm_90a',
): GoldenCase {
  const count = countOf(inputs[0]);
  const params: Record<string, PointerParam<MemType>> = {};
  inputs.forEach((input, i) => {
    params[`in${i}`] = global(input.type);
  });
  params.out = global(output);
  const build = (k: KernelBuilder): void => {
    const i = k.mad(k.blockIdx.x, threads, k.threadIdx.x);
    k.if(i.lt(count), () => {
      const pointers = k.params as unknown as Record<string, GenericPointer>;
      const x = inputs.map((_, j) => pointers[`in${j}`].at(i).load());
      pointers.out.at(i).store(f(k, ...(x as unknown as Inputs<I>)));
    });
  };
  const kernel = defineKernel({ name: kernelName(name), params, block: [threads] }, (k) =>
    build(k as unknown as KernelBuilder),
  );
  const buffers: GoldenBuffer[] = inputs.map(({ bytes }, i) => ({
    name: `in${i}`,
    bytes,
    output: false,
  }));
  buffers.push({ name: 'out', bytes: new Uint8Array(count * bytesOf(output)), output: true });
  const grid = [Math.ceil(count / threads), 1, 1] as const;
  return { family, name, kernel: kernel as Kernel, target, grid, buffers, tolerance };
}

interface GenericPointer {
  at(i: Value<'u32'>): { load(): Value<never>; store(v: unknown): void };
}

/** Options of {@link warpCase}. */
export interface WarpCaseOptions<I extends MemType, O extends MemType, S extends SharedDecls> {
  readonly input: Data<I>;
  readonly output: O;
  /** Elements of the output. */
  readonly count: number;
  readonly shared?: S;
  /** Threads of the CTA; 32 unless given. */
  readonly threads?: number;
  readonly grid?: number;
  readonly tolerance?: Tolerance;
  /** Content of the output before the launch; zero unless given. */
  readonly initial?: Uint8Array<ArrayBuffer>;
}

/** A case with a kernel of its own over one input and one output. */
export function warpCase<
  I extends MemType,
  O extends MemType,
  const S extends SharedDecls = Record<never, never>,
>(
  family: string,
  name: string,
  options: WarpCaseOptions<I, O, S>,
  build: (k: KernelBuilder<{ x: PointerParam<I>; out: PointerParam<O> }, S>) => void,
): GoldenCase {
  const { input, output, count, shared, threads: block = 32, grid = 1 } = options;
  const kernel = defineKernel(
    {
      name: kernelName(name),
      params: { x: global(input.type), out: global(output) },
      shared: shared ?? ({} as S),
      block: [block],
    },
    (k) => build(k as unknown as KernelBuilder<{ x: PointerParam<I>; out: PointerParam<O> }, S>),
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
    tolerance: options.tolerance ?? exact,
  };
}
