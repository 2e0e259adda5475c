import type { Body } from '../builder/body.ts';
import { MatrixDescriptor, type MatrixLayout } from '../builder/matrix-descriptor.ts';
import { arg } from '../builder/operand.ts';
import type { Pointer } from '../builder/pointer.ts';
import type { Value, Var } from '../builder/value.ts';
import { instruction } from '../ir/instruction.ts';
import type { MemType } from '../ir/types.ts';
import type { Site, Warp } from '../sim/machine.ts';
import { type FragmentOf, type MmaType, mmaDepth } from './matrix.ts';
import { movPred } from './move.ts';

const hopper = () => ({ sm: 90, variant: 'a', ptx: 80 }) as const;

interface Wgmma {
  readonly type: MmaType;
  /** Columns of B and of the accumulator. */
  readonly columns: number;
  /** A comes from registers instead of shared memory. */
  readonly aInRegisters: boolean;
  readonly transA: boolean;
  readonly transB: boolean;
  /** Adds to what the accumulator holds: always, never, or as the last input says. */
  readonly accumulate: boolean | 'dynamic';
}

const braces = (names: readonly string[]): string => `{${names.join(', ')}}`;

/** A predicate that the lanes of a warp must agree on. */
function uniform(w: Warp, site: Site, predicate: number): boolean {
  const lanes = w.I[predicate];
  if (lanes !== 0 && lanes !== -1) {
    w.fault('divergence', site, 'the lanes of a warp disagree on whether to accumulate');
  }
  return lanes !== 0;
}

/**
 * D (64×n, f32) = A (64×k) × B (k×n) + D of a warp group, behind the threads' backs. Inputs: A, B,
 * whether to add, and the accumulator where it is added to.
 */
export const wgmma = instruction<Wgmma>({
  name: 'wgmma.mma_async',
  kind: 'matrix',
  convergent: true,
  requires: hopper,
  check: ({ type, columns, aInRegisters, transA, transB }) => {
    if (columns % 8 !== 0 || columns < 8 || columns > 256) {
      return `a warp group multiplies 8 to 256 columns in steps of 8, not ${columns}`;
    }
    if (type === 'e4m3' && (transA || transB)) return 'only 16-bit matrices can be transposed';
    return aInRegisters && transA ? 'A in registers cannot be transposed' : undefined;
  },
  ptx: ({ type, columns, aInRegisters, transA, transB }, dst, src) => {
    const a = aInRegisters ? braces(src.slice(0, 4)) : src[0];
    const [b, add] = src.slice(aInRegisters ? 4 : 1);
    const transposed = [...(aInRegisters ? [] : [transA]), transB].map((t) => (t ? 1 : 0));
    const tail = type === 'e4m3' ? [1, 1] : [1, 1, ...transposed];
    return `wgmma.mma_async.sync.aligned.m64n${columns}k${mmaDepth[type]}.f32.${type}.${type} ${braces(dst)}, ${a}, ${b}, ${add}, ${tail.join(', ')}`;
  },
  holds: ({ type, columns, aInRegisters, accumulate }) => ({
    fragments: aInRegisters ? 4 : 0,
    shape: columns * 64 + mmaDepth[type],
    readIf: accumulate === 'dynamic' ? (aInRegisters ? 5 : 2) : undefined,
  }),
  warp: ({ type, columns, aInRegisters, transA, transB, accumulate }, site) => {
    const aCount = aInRegisters ? 4 : 1;
    const add = site.s[aCount + 1];
    const a = site.s.slice(0, aCount);
    const multiply = { type, columns, a, b: site.s[aCount], transA, transB, d: site.d };
    return (w) => {
      const adds = accumulate === 'dynamic' ? uniform(w, site, add) : accumulate;
      w.multiplyGroup(site, multiply, adds);
    };
  },
});

/** Orders registers written by other instructions before the `wgmma`s that follow. */
export const wgmmaFence = instruction({
  name: 'wgmma.fence',
  kind: 'fence',
  convergent: true,
  requires: hopper,
  ptx: () => 'wgmma.fence.sync.aligned',
  warp: () => (w) => w.fenceMatrices(),
});

/** Closes the group of the multiplications issued so far. */
export const wgmmaCommit = instruction({
  name: 'wgmma.commit_group',
  kind: 'matrix',
  convergent: true,
  requires: hopper,
  ptx: () => 'wgmma.commit_group.sync.aligned',
  warp: () => (w) => w.commitMatrices(),
});

/** Waits until at most `pending` groups are unfinished. */
export const wgmmaWait = instruction<{ readonly pending: number }>({
  name: 'wgmma.wait_group',
  kind: 'matrix',
  convergent: true,
  requires: hopper,
  check: ({ pending }) =>
    Number.isInteger(pending) && pending >= 0 && pending <= 7
      ? undefined
      : `0 to 7 groups may be pending, not ${pending}`,
  ptx: ({ pending }) => `wgmma.wait_group.sync.aligned ${pending}`,
  blocking: 'retry',
  warp:
    ({ pending }, site) =>
    (w) =>
      w.waitMatrices(site, pending),
});

/** Moves registers between a warp group and the CTA's pool. */
export const setMaxRegisters = instruction<{
  readonly count: number;
  readonly change: 'inc' | 'dec';
}>({
  name: 'setmaxnreg',
  kind: 'control',
  convergent: true,
  requires: hopper,
  check: ({ count }) =>
    Number.isInteger(count) && count >= 24 && count <= 256 && count % 8 === 0
      ? undefined
      : `a thread has 24 to 256 registers in steps of 8, not ${count}`,
  ptx: ({ count, change }) => `setmaxnreg.${change}.sync.aligned.u32 ${count}`,
  lane: () => '',
});

/** Elects one lane of the warp. */
export const electSync = instruction({
  name: 'elect.sync',
  kind: 'control',
  convergent: true,
  requires: () => ({ sm: 90, ptx: 80 }),
  ptx: (_, [elected]) => `elect.sync _|${elected}, 0xffffffff`,
  warp:
    (_, { d: [elected] }) =>
    (w, mask) => {
      w.I[elected] = (w.I[elected] & ~mask) | (mask & -mask);
    },
});

/** Options of `wgmma`. */
export interface WgmmaOptions {
  /**
   * A lies with its rows, not its depth, innermost (from shared memory, 16-bit types). Matrices taken
   * from a shared field by `kMajor` and `mnMajor` say so themselves.
   */
  readonly transA?: boolean;
  /** B lies with its columns, not its depth, innermost (16-bit types). */
  readonly transB?: boolean;
  /** Adds to the accumulator (the default) or overwrites it. */
  readonly accumulate?: boolean | Value<'pred'>;
}

/** Tensor-core instructions of a warp group: four warps, the first a multiple of four (sm_90a). */
export const wgmmaOps = (body: Body) => ({
  /**
   * acc (+)= A × B of a warp group. A is 64×k, from shared memory or as fragments of each warp's 16
   * rows (as for `mma`); B is k×n from shared memory; k is 16, for e4m3 32. The accumulator's n/2
   * registers hold, for every 8 columns, what `mma` holds. Runs behind the threads' backs:
   * `wgmmaFence` before the first that uses registers written otherwise, `wgmmaCommit` after the last,
   * `wgmmaWait` before the registers or the shared memory are touched again.
   */
  wgmma<T extends MmaType>(
    type: T,
    acc: readonly Var<'f32'>[],
    a: MatrixDescriptor | readonly Value<FragmentOf<T>>[],
    b: MatrixDescriptor,
    options: WgmmaOptions = {},
  ): void {
    const { accumulate = true } = options;
    const aInRegisters = !(a instanceof MatrixDescriptor);
    const transA = options.transA ?? (!aInRegisters && a.transposed) ?? false;
    const transB = options.transB ?? b.transposed ?? false;
    const problem =
      (aInRegisters ? undefined : a.objection(type, 64, mmaDepth[type], transA)) ??
      b.objection(type, acc.length * 2, mmaDepth[type], transB);
    if (problem !== undefined) body.fail(`wgmma: ${problem}`);
    if (aInRegisters && a.length !== 4) {
      body.fail(`wgmma takes 4 registers of A, not ${a.length}`);
    }
    const constant = typeof accumulate === 'boolean';
    const attrs = {
      type,
      columns: acc.length * 2,
      aInRegisters,
      transA,
      transB,
      accumulate: constant ? accumulate : ('dynamic' as const),
    };
    const add = constant
      ? body.once(`pred ${accumulate}`, () => body.one(movPred({ value: accumulate }), 'pred', []))
      : accumulate;
    body.into(wgmma(attrs), acc, [
      ...(aInRegisters
        ? a.map((fragment) => arg('b32', fragment.as32()))
        : [arg('b64', a.value())]),
      arg('b64', b.value()),
      arg('pred', add),
      ...(accumulate === false ? [] : acc.map((x) => arg('f32', x))),
    ]);
  },
  /** Names a matrix in shared memory for `wgmma`. `start` is aligned as its swizzle demands. */
  matrixDescriptor(start: Pointer<'shared', MemType>, layout: MatrixLayout): MatrixDescriptor {
    return MatrixDescriptor.of(start, layout);
  },
  /** Orders registers written by other instructions before the `wgmma`s that follow. */
  wgmmaFence(): void {
    body.run(wgmmaFence({}), []);
  },
  /** Closes the group of the multiplications issued so far. */
  wgmmaCommit(): void {
    body.run(wgmmaCommit({}), []);
  },
  /** Waits until at most `pending` of the newest groups are unfinished. */
  wgmmaWait(pending: number): void {
    body.run(wgmmaWait({ pending }), []);
  },
  /**
   * Changes how many registers each thread of the warp group may use; all its warps execute it. The
   * kernel needs `minBlocksPerSm` or `maxRegisters`, or the assembler ignores it.
   */
  setMaxRegisters(count: number, change: 'increase' | 'decrease'): void {
    body.run(setMaxRegisters({ count, change: change === 'increase' ? 'inc' : 'dec' }), []);
  },
  /** True in one lane of the warp, always the same. */
  electSync(): Value<'pred'> {
    return body.one(electSync({}), 'pred', []);
  },
});
