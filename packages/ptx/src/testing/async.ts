import {
  defineKernel,
  encodeTensorMap,
  field,
  global,
  type Kernel,
  type KernelBuilder,
  type ParamDecls,
  type SharedDecls,
  SimMemory,
  simulate,
  type TensorMapDescription,
  tensorMap,
} from '../index.ts';

const params = { x: global('u32'), out: global('u32'), map: tensorMap('u32') } as const;

/** A kernel over an input and an output of u32, and a tensor map over the input. */
export type AsyncBuilder<S extends SharedDecls> = KernelBuilder<
  typeof params,
  S & { bar: ReturnType<typeof bars> }
>;

const bars = () => field('b64', [4]);

/** Options of {@link runAsync}. */
export interface AsyncOptions<S extends SharedDecls> {
  readonly shared?: S;
  readonly threads?: number;
  readonly grid?: number;
  readonly cluster?: number;
  /** The input: 0, 1, 2, … unless given. */
  readonly x?: ArrayBufferView;
  readonly outputs?: number;
  /** What the map says beyond the address of the input. */
  readonly map?: Omit<TensorMapDescription, 'address'>;
  /** The map describes the output instead. */
  readonly mapOut?: boolean;
  readonly seed?: number;
}

/** Builds and runs a kernel with memory barriers `k.shared.bar`; gives its output. */
export function runAsync<const S extends SharedDecls = Record<never, never>>(
  options: AsyncOptions<S>,
  build: (k: AsyncBuilder<S>) => void,
): Uint32Array {
  const { threads = 32, grid = 1, cluster = 1, outputs = 64, mapOut = false } = options;
  const shared = { ...options.shared, bar: bars() };
  const kernel = defineKernel(
    { name: 'test_kernel', params, shared, block: [threads], cluster: [cluster] },
    (k) => build(k as unknown as AsyncBuilder<S>),
  );
  const memory = new SimMemory();
  const x = memory.allocFrom(options.x ?? Uint32Array.from({ length: 1024 }, (_, i) => i));
  const out = memory.allocFrom(new Uint32Array(outputs));
  const plain = { element: 'u32', dims: [16, 16], strides: [64], box: [8, 8] } as const;
  const map = encodeTensorMap({ ...(options.map ?? plain), address: mapOut ? out : x });
  const { seed } = options;
  simulate(kernel as unknown as Kernel<ParamDecls>, {
    grid: [grid],
    memory,
    params: { x, out, map } as never,
    ...(seed === undefined ? {} : { deliverySeed: seed }),
  });
  return new Uint32Array(memory.read(out, outputs * 4).buffer);
}
