import { address, mov } from '../instructions/move.ts';
import { sharedSymbol } from '../ir/program.ts';
import { bytesOf, type MemType } from '../ir/types.ts';
import type {
  Field,
  PlacedField,
  PlacedGroup,
  SharedDecls,
  Struct,
  Union,
} from '../layout/shared.ts';
import type { SwizzleRule } from '../layout/swizzle.ts';
import type { Body } from './body.ts';
import { MatrixDescriptor } from './matrix-descriptor.ts';
import { Pointer } from './pointer.ts';
import type { Value } from './value.ts';

/**
 * Where the CTA's shared window starts in simulated addresses: not 0, so that a forgotten base shows
 * as an access out of bounds, and aligned for every swizzle.
 */
export const sharedBase = 1024;

/** The fields of a layout as a kernel sees them. */
export type SharedAccess<D extends SharedDecls> = {
  readonly [K in keyof D]: D[K] extends Field<infer E>
    ? SharedArray<E>
    : D[K] extends Union<infer M>
      ? SharedAccess<M>
      : D[K] extends Struct<infer M>
        ? SharedAccess<M>
        : never;
};

/** An index into shared memory: a number or a 32-bit value. */
export type SharedIndex = number | Value<'u32' | 's32'>;

/** An array in shared memory. */
export class SharedArray<out E extends MemType> {
  readonly element: E;
  readonly placed: PlacedField;
  readonly #start: Pointer<'shared', E>;
  readonly #body: Body;

  constructor(body: Body, element: E, placed: PlacedField) {
    this.#body = body;
    this.element = element;
    this.placed = placed;
    const base = body.once('smem', () =>
      body.one(address({ symbol: sharedSymbol, bits: 'b32', value: sharedBase }), 'u32', []),
    );
    this.#start = new Pointer('shared', element, base, placed.offset);
  }

  /** The first byte. */
  get pointer(): Pointer<'shared', E> {
    return this.#start;
  }

  /** Pointer to the element with one index per dimension, swizzle included. */
  at(...index: readonly SharedIndex[]): Pointer<'shared', E> {
    const column = index[index.length - 1];
    if (index.length !== this.placed.shape.length) this.#wrongRank(index.length);
    if (index.length === 1) return this.#start.at(column);
    return this.row(...index.slice(0, -1)).at(column);
  }

  /** A row, given by all indices but the last: computes what its elements' addresses share. */
  row(...index: readonly SharedIndex[]): SharedRow<E> {
    const { strides, shape } = this.placed;
    if (index.length !== shape.length - 1) this.#wrongRank(index.length + 1);
    let start = this.#start;
    index.forEach((i, dim) => {
      if (typeof i === 'number' && (i < 0 || i >= shape[dim])) {
        this.#body.fail(
          `index ${i} is outside dimension ${dim} of shared field "${this.placed.name}" [${shape.join(', ')}]`,
        );
      }
      start = start.plus(i, strides[dim]);
    });
    return new SharedRow(this.#body, start, this.placed, index[index.length - 1]);
  }

  /**
   * Start of a tile of `arrangement: 'tiles'`: all rows of a column segment as wide as the swizzle.
   * This is where a tensor copy puts a box of that width. Takes the indices before the rows, then the
   * tile's number.
   */
  tile(...index: readonly SharedIndex[]): Pointer<'shared', E> {
    const { strides, shape, swizzle, arrangement, name } = this.placed;
    const single =
      swizzle !== undefined && shape[shape.length - 1] * bytesOf(this.element) === swizzle.width;
    if (swizzle === undefined || (arrangement !== 'tiles' && !single)) {
      this.#body.fail(
        `shared field "${name}" has no tiles: declare a swizzle and arrangement 'tiles'`,
      );
    }
    if (index.length !== shape.length - 1) {
      this.#body.fail(
        `shared field "${name}" [${shape.join(', ')}] has its tiles at ${shape.length - 1} indices, not ${index.length}`,
      );
    }
    const column = index[index.length - 1];
    const tiles = (shape[shape.length - 1] * bytesOf(this.element)) / swizzle.width;
    const limits = [...shape.slice(0, -2), tiles];
    let start = this.#start;
    index.slice(0, -1).forEach((i, dim) => {
      start = start.plus(i, strides[dim]);
    });
    index.forEach((i, dim) => {
      if (typeof i === 'number' && (i < 0 || i >= limits[dim])) {
        this.#body.fail(
          `tile index ${i} is outside of shared field "${name}" [${limits.join(', ')}]`,
        );
      }
    });
    return start.plus(column, swizzle.width * shape[shape.length - 2]);
  }

  /**
   * The matrix that starts here, for `wgmma`, with its depth along the columns: K-major. Takes one index
   * per dimension: rows are multiples of 8, the column a multiple of 32 bytes.
   */
  kMajor(...index: readonly [...SharedIndex[], number]): MatrixDescriptor {
    return this.#matrix(index, false);
  }

  /**
   * The matrix that starts here, for `wgmma`, with its depth along the rows: MN-major, which needs the
   * instruction's transposition. The row is a multiple of 8, the column one of 16 bytes.
   */
  mnMajor(...index: readonly [...SharedIndex[], number]): MatrixDescriptor {
    return this.#matrix(index, true);
  }

  #matrix(index: readonly SharedIndex[], transposed: boolean): MatrixDescriptor {
    const { shape, strides, name, swizzle } = this.placed;
    if (index.length !== shape.length) this.#wrongRank(index.length);
    const column = index[index.length - 1];
    const row = index[index.length - 2];
    const start = this.tile(...index.slice(0, -2), 0);
    if (swizzle === undefined || typeof column !== 'number') {
      return this.#body.fail(
        `the column of a matrix in shared field "${name}" is a constant; use tile() for steps that only the kernel knows`,
      );
    }
    const source = {
      name,
      element: this.element,
      swizzle,
      rows: shape[shape.length - 2],
      columns: shape[shape.length - 1],
      transposed,
    };
    if (typeof row === 'number') return MatrixDescriptor.from(start, source, 0).at(row, column);
    const from = start.plus(row, strides[strides.length - 1]);
    return MatrixDescriptor.from(from, source, undefined).at(0, column);
  }

  #wrongRank(rank: number): never {
    const { name, shape } = this.placed;
    return this.#body.fail(
      `shared field "${name}" has ${shape.length} dimensions [${shape.join(', ')}], not ${rank}`,
    );
  }
}

/** A row of a shared array. Registers for its swizzle are computed at first use and reused. */
export class SharedRow<out E extends MemType> {
  readonly #body: Body;
  readonly #start: Pointer<'shared', E>;
  readonly #placed: PlacedField;
  readonly #row: SharedIndex;
  readonly #chunks = new Map<number, Value<'u32'>>();
  #xor: Value<'u32'> | undefined;

  constructor(body: Body, start: Pointer<'shared', E>, placed: PlacedField, row: SharedIndex) {
    this.#body = body;
    this.#start = start;
    this.#placed = placed;
    this.#row = row;
  }

  /** Pointer to the element in this column. Constant columns cost at most one XOR per 16 bytes. */
  at(column: SharedIndex): Pointer<'shared', E> {
    const { swizzle } = this.#placed;
    if (swizzle === undefined) return this.#start.at(column);
    const size = bytesOf(this.#start.element);
    return typeof column === 'number'
      ? this.#constant(column * size, swizzle)
      : this.#variable(column, size, swizzle);
  }

  #constant(byte: number, rule: SwizzleRule): Pointer<'shared', E> {
    const within = byte % rule.width;
    const far = ((byte - within) / rule.width) * this.#segment(rule);
    const chunk = within & ~15;
    if (typeof this.#row === 'number') {
      const xor = ((this.#row >> rule.shift) & rule.mask) << 4;
      return this.#start.bytes(far + ((chunk ^ xor) | (within & 15)));
    }
    let base = this.#chunks.get(chunk);
    if (base === undefined || !this.#body.visible(base)) {
      const xor = this.#rowXor(rule);
      base = this.#start.base.add(chunk === 0 ? xor : xor.xor(chunk));
      this.#chunks.set(chunk, base);
    }
    const { element, offset } = this.#start;
    return new Pointer('shared', element, base, offset + far + (within & 15));
  }

  #variable(column: Value<'u32' | 's32'>, size: number, rule: SwizzleRule): Pointer<'shared', E> {
    const bytes = size === 1 ? column.as('u32') : column.as('u32').shl(Math.log2(size));
    if (this.#placed.arrangement === 'rows') {
      return this.#start.bytes(bytes.xor(this.#rowXor(rule)));
    }
    const tile = bytes.shr(Math.log2(rule.width));
    const within = bytes.and(rule.width - 1).xor(this.#rowXor(rule));
    return this.#start.plus(tile, this.#segment(rule)).bytes(within);
  }

  /** Distance in bytes between the segments of a row. */
  #segment(rule: SwizzleRule): number {
    const { arrangement, shape } = this.#placed;
    return arrangement === 'rows' ? rule.width : rule.width * shape[shape.length - 2];
  }

  #rowXor(rule: SwizzleRule): Value<'u32'> {
    if (this.#xor !== undefined && this.#body.visible(this.#xor)) return this.#xor;
    const { shift, mask } = rule;
    if (typeof this.#row === 'number') {
      const xor = ((this.#row >> shift) & mask) << 4;
      const constant = { imm: xor, type: 'b32' } as const;
      return this.#body.once(`xor ${xor}`, () =>
        this.#body.one(mov({ bits: 'b32' }), 'u32', [constant], ['b32']),
      );
    }
    const row = this.#row.as('u32');
    const bits = shift === 0 ? row : row.shr(shift);
    this.#xor = bits.and(mask).shl(4);
    return this.#xor;
  }
}

/** Builds the typed view of a placed layout. */
export function sharedAccess<D extends SharedDecls>(
  body: Body,
  root: PlacedGroup,
): SharedAccess<D> {
  const view: Record<string, unknown> = {};
  for (const [name, member] of Object.entries(root.members)) {
    view[name] =
      member.kind === 'field'
        ? new SharedArray(body, member.element, member)
        : sharedAccess(body, member);
  }
  return view as SharedAccess<D>;
}
