import { parseTarget, type Target } from '../emit/target.ts';
import { DeclarationError } from '../errors.ts';
import { asyncCopyOps } from '../instructions/async_copy.ts';
import { atomicOps } from '../instructions/atomic.ts';
import { bitOps } from '../instructions/bits.ts';
import { bulkCopyOps } from '../instructions/bulk_copy.ts';
import { clusterOps } from '../instructions/cluster.ts';
import { convertOps } from '../instructions/convert.ts';
import { floatOps } from '../instructions/float.ts';
import { integerOps } from '../instructions/integer.ts';
import { matrixOps } from '../instructions/matrix.ts';
import { mbarrierOps } from '../instructions/mbarrier.ts';
import { cacheOps, ldParam } from '../instructions/memory.ts';
import { moveOps, paramAddress } from '../instructions/move.ts';
import { proxyOps } from '../instructions/proxy_fence.ts';
import { registerOps } from '../instructions/registers.ts';
import { specialOps } from '../instructions/special.ts';
import { syncOps } from '../instructions/sync.ts';
import { tensorCopyOps } from '../instructions/tensor_copy.ts';
import { warpOps } from '../instructions/warp.ts';
import { wgmmaOps } from '../instructions/wgmma.ts';
import { callerLocation } from '../ir/location.ts';
import type { ConstArray, ParamSlot, Program } from '../ir/program.ts';
import { bytesOf, type MemType } from '../ir/types.ts';
import {
  type ArrayParam,
  type ParamDecls,
  type ParamInputs,
  type PointerParam,
  packParams,
  placeParams,
  type ScalarParam,
  type TensorMapParam,
} from '../layout/params.ts';
import { type SharedDecls, type SharedLayout, sharedLayout } from '../layout/shared.ts';
import { paramBase } from '../sim/addresses.ts';
import { Body } from './body.ts';
import { controlOps } from './control.ts';
import { constPointer, Pointer } from './pointer.ts';
import { type SharedAccess, sharedAccess } from './shared.ts';
import { TensorMap } from './tensor-map.ts';
import type { Value } from './value.ts';

/** The parameters as the kernel sees them. */
export type ParamValues<P extends ParamDecls> = {
  readonly [K in keyof P]: P[K] extends ScalarParam
    ? Value<P[K]>
    : P[K] extends PointerParam<infer E>
      ? Pointer<'global', E>
      : P[K] extends ArrayParam<infer T>
        ? readonly Value<T>[]
        : P[K] extends TensorMapParam<infer E>
          ? TensorMap<E>
          : never;
};

function operations(body: Body) {
  const ops = {
    ...controlOps(body),
    ...moveOps(body),
    ...integerOps(body),
    ...bitOps(body),
    ...floatOps(body),
    ...specialOps(body),
    ...convertOps(body),
    ...warpOps(body),
    ...asyncCopyOps(body),
    ...matrixOps(body),
    ...wgmmaOps(body),
    ...atomicOps(body),
    ...syncOps(body),
    ...cacheOps(body),
    ...mbarrierOps(body),
    ...proxyOps(body),
    ...bulkCopyOps(body),
    ...tensorCopyOps(body),
    ...clusterOps(body),
    ...constantOps(body),
  };
  // Descriptors, because reading a getter here would already emit its instruction.
  const lazy = Object.getOwnPropertyDescriptors(registerOps(body));
  return Object.defineProperties(ops, lazy) as typeof ops & ReturnType<typeof registerOps>;
}

const constantOps = (body: Body) => ({
  /** A module-level array in constant memory: fast where all lanes read the same element. */
  constArray<E extends MemType>(
    element: E,
    data: ArrayBufferView<ArrayBuffer>,
  ): Pointer<'const', E> {
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice();
    const last: ConstArray | undefined = body.constants[body.constants.length - 1];
    const end = last === undefined ? 256 : last.offset + last.data.length;
    const offset = Math.ceil(end / 16) * 16;
    const name = `const_${body.constants.length}`;
    body.constants.push({ name, align: 16, data: bytes, offset });
    return constPointer(body, name, element, offset);
  },
});

/** What a kernel function builds with: every instruction, control flow, parameters, shared memory. */
export type KernelBuilder<
  P extends ParamDecls = ParamDecls,
  S extends SharedDecls = SharedDecls,
> = ReturnType<typeof operations> & {
  /** The architecture being built for, to choose between code paths. */
  readonly target: Target;
  readonly params: ParamValues<P>;
  readonly shared: SharedAccess<S>;
};

/** The part of {@link KernelBuilder} that helper functions need, whatever the kernel. */
export type Ops = ReturnType<typeof operations> & { readonly target: Target };

/** A kernel's declaration. */
export interface KernelOptions<P extends ParamDecls, S extends SharedDecls> {
  /** Entry point's name: letters, digits, underscores. */
  readonly name: string;
  readonly params: P;
  /** Shared memory, from {@link sharedLayout} or as plain declarations. */
  readonly shared?: S | SharedLayout<S>;
  /** Threads of a CTA. */
  readonly block: readonly [number, number?, number?];
  /** Most registers per thread; what does not fit spills. */
  readonly maxRegisters?: number;
  /** CTAs that must fit on one SM, which limits registers as well. */
  readonly minBlocksPerSm?: number;
  /**
   * CTAs that run together as a cluster (sm_90 up). The launch sets it as an attribute; the PTX does
   * not repeat it.
   */
  readonly cluster?: readonly [number, number?, number?];
}

/** A kernel: builds its program for any target, packs its parameters. */
export interface Kernel<P extends ParamDecls = ParamDecls> {
  readonly name: string;
  readonly block: readonly [number, number, number];
  /** CTAs of a cluster; a launch sets it as an attribute unless it is 1 × 1 × 1. */
  readonly cluster: readonly [number, number, number];
  /** Dynamic shared memory that a launch must request, in bytes. */
  readonly sharedBytes: number;
  readonly sharedLayout: SharedLayout<SharedDecls>;
  /** Where each parameter lies in the parameter buffer, for launches that rewrite it in place. */
  readonly paramSlots: readonly ParamSlot[];
  /**
   * Builds (once per target) what the emitter and the simulator work on. With `locations`, every
   * instruction knows its TypeScript line, which makes building several times slower.
   */
  program(target: string, locations?: boolean): Program;
  /** The parameter buffer of a launch. */
  packParams(values: ParamInputs<P>): Uint8Array<ArrayBuffer>;
}

/**
 * Declares a kernel. `build` runs once per target and writes the program by calling instructions on
 * `k`; plain TypeScript around them is executed while building, so loops unroll and conditions
 * choose code.
 * @throws DeclarationError for an impossible name, block, parameter list or layout.
 */
export function defineKernel<
  const P extends ParamDecls,
  const S extends SharedDecls = Record<never, never>,
>(
  options: KernelOptions<P, S>,
  build: (k: KernelBuilder<P, S>, params: ParamValues<P>) => void,
): Kernel<P> {
  const { name, maxRegisters, minBlocksPerSm } = options;
  const declared = callerLocation();
  if (!/^[A-Za-z]\w*$/.test(name)) {
    throw new DeclarationError(`kernel name "${name}": expected letters, digits and underscores`);
  }
  const [x, y = 1, z = 1] = options.block;
  const block = [x, y, z] as const;
  if (block.some((n) => !Number.isInteger(n) || n < 1) || x * y * z > 1024) {
    throw new DeclarationError(
      `kernel ${name}: block [${block.join(', ')}] must be positive and hold at most 1024 threads`,
    );
  }
  const cluster = clusterOf(name, options.cluster ?? [1]);
  const layout = layoutOf(options.shared);
  const { slots, bytes } = placeParams(options.params);
  const programs = new Map<string, Program>();

  const make = (targetName: string, locations: boolean): Program => {
    const target = parseTarget(targetName);
    if (layout.bytes > target.maxSharedBytes) {
      throw new DeclarationError(
        `kernel ${name}: ${layout.bytes} bytes of shared memory, ${target.name} has ${target.maxSharedBytes}`,
      );
    }
    const body = new Body(name, target, locations);
    const params = body.located(
      declared,
      () => paramValues(body, options.params, slots) as ParamValues<P>,
    );
    const extra = { target, params, shared: sharedAccess<S>(body, layout.root) };
    build(Object.assign(operations(body), extra), params);
    if (body.used.has('setmaxnreg') && maxRegisters === undefined && minBlocksPerSm === undefined) {
      throw new DeclarationError(
        `kernel ${name}: setMaxRegisters has no effect without minBlocksPerSm or maxRegisters; declare one`,
      );
    }
    return {
      name,
      target,
      block,
      cluster,
      params: slots,
      paramBytes: bytes,
      sharedBytes: layout.bytes,
      sharedFields: layout.fields,
      constants: body.constants,
      maxRegisters,
      minBlocksPerSm,
      regs: body.regs,
      body: { nodes: [...body.prologue.nodes, ...body.main.nodes] },
      requires: body.requires,
    };
  };

  return {
    name,
    block,
    cluster,
    sharedBytes: layout.bytes,
    sharedLayout: layout,
    paramSlots: slots,
    program(target, locations = false) {
      const key = `${target} ${locations}`;
      const known = programs.get(key);
      if (known !== undefined) return known;
      const program = make(target, locations);
      programs.set(key, program);
      return program;
    },
    packParams: (values) => packParams(name, slots, bytes, values),
  };
}

function clusterOf(
  name: string,
  [x, y = 1, z = 1]: readonly [number, number?, number?],
): readonly [number, number, number] {
  if ([x, y, z].every((n) => Number.isInteger(n) && n >= 1) && x * y * z <= 16) return [x, y, z];
  throw new DeclarationError(
    `kernel ${name}: cluster [${x}, ${y}, ${z}] must be positive and hold at most 16 CTAs`,
  );
}

function layoutOf<S extends SharedDecls>(shared: S | SharedLayout<S> | undefined): SharedLayout<S> {
  if (shared === undefined) return sharedLayout({} as S);
  const ready = 'decls' in shared && 'root' in shared;
  return ready ? (shared as SharedLayout<S>) : sharedLayout(shared as S);
}

function paramValues(
  body: Body,
  decls: ParamDecls,
  slots: Program['params'],
): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const slot of slots) {
    const decl = decls[slot.name];
    const read = (i: number): Value<ScalarParam> => {
      const type = slot.type as ScalarParam;
      const size = bytesOf(type);
      const attrs = { symbol: slot.name, type, offset: i * size, place: slot.offset + i * size };
      return body.once(`param ${slot.name} ${i}`, () =>
        body
          .one(ldParam(attrs), type, [], [size === 8 ? 'b64' : 'b32'])
          .named(slot.count === 1 ? slot.name : `${slot.name}_${i}`),
      );
    };
    if (typeof decl === 'string') values[slot.name] = read(0);
    else if (decl.kind === 'tensorMap') {
      const attrs = { symbol: slot.name, place: paramBase + slot.offset };
      const address = body.once(`map ${slot.name}`, () =>
        body.one(paramAddress(attrs), 'u64', [], ['b64']).named(slot.name),
      );
      values[slot.name] = new TensorMap(slot.name, decl.element, address);
    } else if (decl.kind === 'pointer') {
      values[slot.name] = new Pointer('global', decl.element, read(0) as Value<'u64'>);
    } else values[slot.name] = Array.from({ length: slot.count }, (_, i) => read(i));
  }
  return values;
}
