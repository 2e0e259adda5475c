import type { Body } from '../builder/body.ts';
import { arg, bitType, type Operand } from '../builder/operand.ts';
import type { Pointer } from '../builder/pointer.ts';
import type { Value } from '../builder/value.ts';
import { instruction } from '../ir/instruction.ts';
import { bytesOf, spaceName } from '../ir/types.ts';
import type { Access, Site, WarpOp } from '../sim/machine.ts';
import { combineOf } from '../sim/numerics/atomic.ts';
import type { Scope } from './memory.ts';

/** Types that atomics work on. */
export type AtomicType = 'u32' | 's32' | 'b32' | 'u64' | 's64' | 'b64' | 'f32' | 'f16x2' | 'bf16x2';

/** What an atomic does to memory; `exch` stores, `cas` stores if memory equals the first operand. */
export type AtomicOp = 'add' | 'min' | 'max' | 'and' | 'or' | 'xor' | 'exch' | 'cas';

/** Memory ordering of an atomic. */
export type AtomicOrder = 'relaxed' | 'acquire' | 'release' | 'acq_rel';

type AtomicSpace = 'global' | 'shared' | 'cluster';

interface Atomic {
  readonly space: AtomicSpace;
  readonly op: AtomicOp;
  readonly type: AtomicType;
  readonly offset: number;
  readonly scope: Scope;
  readonly order: AtomicOrder;
}

/** The instruction's own name for the type: bits for exchanges, unsigned for wrapping sums. */
function typeName({ op, type }: Atomic): string {
  if (op === 'exch' || op === 'cas' || op === 'and' || op === 'or' || op === 'xor') {
    return bitType(type);
  }
  return op === 'add' && type === 's64' ? 'u64' : type;
}

function check({ op, type, space }: Atomic): string | undefined {
  const packed = type === 'f16x2' || type === 'bf16x2';
  if ((packed || type === 'f32') && (op === 'min' || op === 'max')) return `no ${op} for ${type}`;
  if (packed && space !== 'global') return `no ${type} atomics in shared memory`;
  if (type.startsWith('b') && !packed && (op === 'add' || op === 'min' || op === 'max')) {
    return `${op} needs a numeric type, not ${type}`;
  }
  return undefined;
}

const requires = ({ type, space }: Atomic) =>
  type === 'bf16x2' || space === 'cluster' ? { sm: 90, ptx: 78 } : undefined;
const qualifier = ({ op, type }: Atomic): string =>
  op === 'add' && (type === 'f16x2' || type === 'bf16x2') ? '.noftz' : '';

/** The simulator's meaning: `result` is the register for the old value, −1 for none. */
function simulate(attrs: Atomic, site: Site, result: number): WarpOp {
  const { space, op, type, offset, order } = attrs;
  const combine = combineOf(op, type, space === 'global' ? 'global' : 'shared');
  const access: Access = {
    site,
    address: site.s[0],
    offset,
    bytes: bytesOf(type) as 4 | 8,
    count: 1,
    data: site.s.slice(1),
    signed: false,
    strong: true,
    acquire: order === 'acquire' || order === 'acq_rel',
    release: order === 'release' || order === 'acq_rel',
    nc: false,
  };
  if (space === 'cluster') return (w, mask) => w.cluster.atomic(w, access, mask, combine, result);
  return space === 'shared'
    ? (w, mask) => w.shared.atomic(w, access, mask, combine, result)
    : (w, mask) => w.global.atomic(w, access, mask, combine, result);
}

/** Changes memory in one step and gives what was there before. */
export const atom = instruction<Atomic>({
  name: 'atom',
  kind: 'atomic',
  check,
  requires,
  ptx: (attrs, [d], [address, ...values]) =>
    `atom.${attrs.order}.${attrs.scope}.${spaceName(attrs.space)}.${attrs.op}${qualifier(attrs)}.${typeName(attrs)} ${d}, [${address}+${attrs.offset}], ${values.join(', ')}`,
  polls: () => true,
  warp: (attrs, site) => simulate(attrs, site, site.d[0]),
});

/** Changes memory in one step. */
export const red = instruction<Atomic>({
  name: 'red',
  kind: 'atomic',
  check: (attrs) =>
    attrs.order === 'relaxed' || attrs.order === 'release'
      ? check(attrs)
      : `a reduction reads nothing, so it cannot ${attrs.order}`,
  requires,
  ptx: (attrs, _, [address, value]) =>
    `red.${attrs.order}.${attrs.scope}.${spaceName(attrs.space)}.${attrs.op}${qualifier(attrs)}.${typeName(attrs)} [${address}+${attrs.offset}], ${value}`,
  warp: (attrs, site) => simulate(attrs, site, -1),
});

/** Ordering and scope of an atomic; relaxed and gpu (in a cluster: cluster) unless said otherwise. */
export interface AtomicOptions {
  readonly order?: AtomicOrder;
  readonly scope?: Scope;
}

/** Atomic read-modify-write on global and shared memory, and on that of the cluster's CTAs. */
export const atomicOps = (body: Body) => {
  const attrsOf = <T extends AtomicType>(
    pointer: Pointer<AtomicSpace, T>,
    op: AtomicOp,
    options: AtomicOptions,
  ): Atomic => ({
    space: pointer.space,
    op,
    type: pointer.element,
    offset: pointer.offset,
    scope: options.scope ?? (pointer.space === 'cluster' ? 'cluster' : 'gpu'),
    order: options.order ?? 'relaxed',
  });
  const addressOf = (pointer: Pointer<AtomicSpace, AtomicType>) =>
    arg(pointer.space === 'global' ? 'u64' : 'u32', pointer.base as Value<'u32' | 'u64'>);
  // Memory is combined bit by bit: operands and results are patterns, also those of f32.
  const value = <T extends AtomicType>(type: T, operand: Operand<T>) =>
    typeof operand === 'object' ? { reg: operand.reg, type: bitType(type) } : arg(type, operand);
  const run =
    (op: Exclude<AtomicOp, 'cas'>) =>
    <T extends AtomicType>(
      pointer: Pointer<AtomicSpace, T>,
      operand: Operand<T>,
      options: AtomicOptions = {},
    ): Value<T> =>
      body.one(atom(attrsOf(pointer, op, options)), pointer.element as T, [
        addressOf(pointer),
        value(pointer.element as T, operand),
      ]);
  const reduce =
    (op: Exclude<AtomicOp, 'cas' | 'exch'>) =>
    <T extends AtomicType>(
      pointer: Pointer<AtomicSpace, T>,
      operand: Operand<T>,
      options: AtomicOptions = {},
    ): void =>
      body.run(red(attrsOf(pointer, op, options)), [
        addressOf(pointer),
        value(pointer.element as T, operand),
      ]);
  return {
    /** Adds; gives the old value. */
    atomicAdd: run('add'),
    /** Stores the smaller; gives the old value. */
    atomicMin: run('min'),
    /** Stores the larger; gives the old value. */
    atomicMax: run('max'),
    atomicAnd: run('and'),
    atomicOr: run('or'),
    atomicXor: run('xor'),
    /** Stores the operand; gives the old value. */
    atomicExchange: run('exch'),
    /** Stores `replacement` where memory equals `expected`; gives the old value either way. */
    atomicCas<T extends Exclude<AtomicType, 'f32' | 'f16x2' | 'bf16x2'>>(
      pointer: Pointer<AtomicSpace, T>,
      expected: Operand<T>,
      replacement: Operand<T>,
      options: AtomicOptions = {},
    ): Value<T> {
      const type = pointer.element as T;
      return body.one(atom(attrsOf<T>(pointer, 'cas', options)), type, [
        addressOf(pointer as Pointer<AtomicSpace, AtomicType>),
        arg(type, expected),
        arg(type, replacement),
      ]);
    },
    /** Adds without giving the old value back, which is cheaper. */
    reduceAdd: reduce('add'),
    reduceMin: reduce('min'),
    reduceMax: reduce('max'),
    reduceAnd: reduce('and'),
    reduceOr: reduce('or'),
    reduceXor: reduce('xor'),
  };
};
