import { add, madLo, madWide } from '../instructions/integer.ts';
import type { Tuple } from '../instructions/matrix.ts';
import { type LoadOptions, ld, prefetch, type StoreOptions, st } from '../instructions/memory.ts';
import { address } from '../instructions/move.ts';
import {
  bytesOf,
  type Int,
  type MemType,
  type RegOf,
  type RegType,
  regTypeOf,
  type Space,
} from '../ir/types.ts';
import type { Body } from './body.ts';
import { arg, bitType, type Operand } from './operand.ts';
import type { Value } from './value.ts';

/** The register type of an address: 32 bits in shared memory, 64 elsewhere. */
export type AddressOf<S extends Space> = S extends 'shared' | 'cluster' ? 'u32' : 'u64';

/** An element index: a number, or a value of any integer type. */
export type Index = number | Value<Int>;

/**
 * An address in one memory space, and the type of the elements there. A constant part of the
 * address stays separate and becomes the immediate offset of loads and stores: `p.at(3)` costs
 * nothing.
 */
export class Pointer<out S extends Space, out E extends MemType> {
  readonly space: S;
  readonly element: E;
  readonly base: Value<AddressOf<S>>;
  /** Constant part of the address, in bytes. */
  readonly offset: number;

  constructor(space: S, element: E, base: Value<AddressOf<S>>, offset = 0) {
    this.space = space;
    this.element = element;
    this.base = base;
    this.offset = offset;
  }

  get body(): Body {
    return this.base.body;
  }

  /** The same address with other elements. */
  as<F extends MemType>(element: F): Pointer<S, F> {
    return new Pointer(this.space, element, this.base, this.offset);
  }

  /** The pointer `index` elements further. */
  at(index: Index): Pointer<S, E> {
    return this.plus(index, bytesOf(this.element));
  }

  /** The pointer `count` bytes further. */
  bytes(count: Index): Pointer<S, E> {
    return this.plus(count, 1);
  }

  /** The pointer `count` units of `unit` bytes further. */
  plus(count: Index, unit: number): Pointer<S, E> {
    if (typeof count === 'number') {
      return new Pointer(this.space, this.element, this.base, this.offset + count * unit);
    }
    const { body, base } = this;
    const { type } = count;
    const wide = type === 'u64' || type === 's64';
    if (this.space === 'shared' || this.space === 'cluster') {
      if (wide) body.fail('shared memory is indexed with 32-bit values');
      const index = { reg: count.reg, type: 'u32' as const };
      const start = { reg: base.reg, type: 'u32' as const };
      const moved =
        unit === 1
          ? body.one(add({ type: 'u32' }), 'u32', [index, start])
          : body.one(madLo({ type: 'u32' }), 'u32', [index, arg('u32', unit), start]);
      return new Pointer(this.space, this.element, moved as Value<AddressOf<S>>, this.offset);
    }
    const operands = [
      { reg: count.reg, type },
      wide ? arg('u64', unit) : arg(type, unit),
      { reg: base.reg, type: 'u64' as const },
    ];
    const op = wide ? madLo({ type: 'u64' }) : madWide({ type });
    const moved = body.one(op, 'u64', operands);
    return new Pointer(this.space, this.element, moved as Value<AddressOf<S>>, this.offset);
  }

  /** The address as a number in a register, constant part included. */
  address(): Value<AddressOf<S>> {
    const { base, offset } = this;
    if (offset === 0) return base;
    return (base as Value<'u32' | 'u64'>).add(offset) as Value<AddressOf<S>>;
  }

  /** The same pointer with its constant part added to the register. */
  folded(): Pointer<S, E> {
    return new Pointer(this.space, this.element, this.address());
  }

  /** Reads the element. Bytes and 16-bit integers widen to 32 bits. */
  load(options: LoadOptions = {}): Value<RegOf<E>> {
    return this.loadMany(1, options)[0];
  }

  /** Reads 2 or 4 neighbours at once (up to 16 bytes); the address is aligned to their size. */
  loadVec<N extends 2 | 4>(count: N, options: LoadOptions = {}): Tuple<Value<RegOf<E>>, N> {
    return this.loadMany(count, options) as Tuple<Value<RegOf<E>>, N>;
  }

  /** Reads the element where `condition` holds and gives `otherwise` elsewhere. */
  loadIf(
    condition: Value<'pred'>,
    otherwise: Operand<RegOf<E>>,
    options: LoadOptions = {},
  ): Value<RegOf<E>> {
    const result = this.body.variable(regTypeOf(this.element), otherwise);
    this.body.branch(condition, () => result.set(this.load(options) as never));
    return result;
  }

  /** Writes the element. Stores of 8 and 16 bits drop the higher bits. */
  store(value: Operand<RegOf<E>>, options: StoreOptions = {}): void {
    this.storeVec([value], options);
  }

  /** Writes 1, 2 or 4 neighbours at once (up to 16 bytes), aligned to their size. */
  storeVec(values: readonly Operand<RegOf<E>>[], options: StoreOptions = {}): void {
    const { space, element: type, offset, body } = this;
    const vector = values.length;
    if (vector !== 1 && vector !== 2 && vector !== 4) {
      throw body.error(`a store writes 1, 2 or 4 elements, not ${vector}`);
    }
    const register = regTypeOf(type) as RegType;
    const inputs = values.map((value) =>
      typeof value === 'object'
        ? { reg: value.reg, type: bitType(register) }
        : arg(register, value as never),
    );
    const { l2Policy, ...rest } = options;
    const policy = l2Policy !== undefined;
    body.run(st({ space, type, vector, offset, policy, ...rest }), [
      this.addressArg(),
      ...inputs,
      ...policyArg(l2Policy),
    ]);
  }

  /** Asks a cache to fetch the line the pointer is in. */
  prefetch(this: Pointer<'global', E>, level: 'L1' | 'L2'): void {
    this.body.run(prefetch({ level, offset: this.offset }), [arg('u64', this.base)]);
  }

  private loadMany(vector: 1 | 2 | 4, options: LoadOptions): Value<RegOf<E>>[] {
    const { space, element: type, offset, body } = this;
    const register = regTypeOf(type);
    const types = new Array<RegOf<E>>(vector).fill(register);
    const { l2Policy, ...rest } = options;
    const policy = l2Policy !== undefined;
    return body.many(
      ld({ space, type, vector, offset, policy, ...rest }),
      types,
      [this.addressArg(), ...policyArg(l2Policy)],
      types.map(bitType),
    );
  }

  private addressArg() {
    return { reg: this.base.reg, type: this.base.type as RegType };
  }
}

const policyArg = (policy: Value<'b64'> | undefined) =>
  policy === undefined ? [] : [arg('b64', policy)];

/** A pointer to a module-level array of constants. */
export function constPointer<E extends MemType>(
  body: Body,
  symbol: string,
  element: E,
  value: number,
): Pointer<'const', E> {
  const base = body.one(address({ symbol, bits: 'b64', value }), 'u64', [], ['b64']);
  return new Pointer('const', element, base);
}
