import { mov, pack } from '../instructions/move.ts';
import { bytesOf, type MemType } from '../ir/types.ts';
import { type Swizzle, type SwizzleRule, swizzleRule } from '../layout/swizzle.ts';
import { arg } from './operand.ts';
import type { Pointer } from './pointer.ts';
import type { Value } from './value.ts';

/** How the tiles of a matrix lie in shared memory. */
export interface MatrixLayout {
  readonly swizzle: Swizzle;
  /** Bytes between groups of 8 rows (K-major) or of 8 steps of the depth (MN-major). */
  readonly stride: number;
  /** MN-major: bytes between tiles as wide as the swizzle. */
  readonly leading?: number;
}

/** Rows of shared memory that a matrix is cut out of. */
export interface MatrixSource {
  readonly name: string;
  readonly element: MemType;
  readonly swizzle: SwizzleRule;
  readonly rows: number;
  readonly columns: number;
  /** The rows of shared memory run along the depth; else along the matrix's rows (or columns). */
  readonly transposed: boolean;
}

/** Where in its source a matrix starts; undefined where only the running kernel knows. */
interface Origin {
  readonly row: number | undefined;
  readonly column: number | undefined;
  /** Column in its tile. */
  readonly within: number;
}

const swizzleCode: Record<number, number> = { 128: 1, 64: 2, 32: 3 };

/** Rows after which a swizzle repeats. */
const atomRows = 8;

/**
 * Names a matrix in shared memory to `wgmma`: a start address and how the matrix goes on from there.
 * Steps by constants cost one addition.
 */
export class MatrixDescriptor {
  readonly #low: Value<'u32'>;
  readonly #high: number;
  readonly #step: number;
  readonly #source: MatrixSource | undefined;
  readonly #origin: Origin;

  private constructor(
    low: Value<'u32'>,
    high: number,
    step: number,
    source: MatrixSource | undefined,
    origin: Origin,
  ) {
    this.#low = low;
    this.#high = high;
    this.#step = step;
    this.#source = source;
    this.#origin = origin;
  }

  /** The matrix that starts at `start`. */
  static of(start: Pointer<'shared', MemType>, layout: MatrixLayout): MatrixDescriptor {
    const { swizzle, stride, leading = 16 } = layout;
    const { width } = swizzleRule(swizzle);
    const { body } = start;
    const fits = (bytes: number) => Number.isInteger(bytes) && bytes % 16 === 0 && bytes < 2 ** 18;
    if (!fits(stride) || !fits(leading)) {
      body.fail(
        `strides of a matrix are multiples of 16 bytes below 2^18, not ${stride}, ${leading}`,
      );
    }
    if (stride % width !== 0) {
      body.fail(`rows of a ${swizzle} swizzle cannot be ${stride} bytes apart by eights`);
    }
    return MatrixDescriptor.#make(start, width, stride, leading, undefined, {
      row: undefined,
      column: undefined,
      within: 0,
    });
  }

  /** The matrix that starts where the tile at `start` does. */
  static from(
    start: Pointer<'shared', MemType>,
    source: MatrixSource,
    row: number | undefined,
  ): MatrixDescriptor {
    const { width } = source.swizzle;
    const leading = source.transposed ? width * source.rows : 16;
    const origin = { row, column: 0, within: 0 };
    return MatrixDescriptor.#make(start, width, atomRows * width, leading, source, origin);
  }

  static #make(
    start: Pointer<'shared', MemType>,
    width: number,
    stride: number,
    leading: number,
    source: MatrixSource | undefined,
    origin: Origin,
  ): MatrixDescriptor {
    const low = start
      .address()
      .and(0x3ffff)
      .shr(4)
      .or((leading >> 4) << 16);
    const high = (stride >> 4) | (swizzleCode[width] << 30);
    return new MatrixDescriptor(low, high, 0, source, origin);
  }

  /** Whether the depth runs along the rows of shared memory; undefined where nobody said. */
  get transposed(): boolean | undefined {
    return this.#source?.transposed;
  }

  /** The matrix that starts so many bytes further. */
  bytes(count: number): MatrixDescriptor {
    if (count % 16 !== 0) this.#low.body.fail(`a matrix cannot start ${count} bytes further`);
    const { within } = this.#origin;
    const origin = { row: undefined, column: undefined, within };
    return this.#moved(this.#low, count, undefined, origin);
  }

  /** The matrix that starts so many rows and columns of its source further. */
  at(row: number, column: number): MatrixDescriptor {
    const { body } = this.#low;
    const source = this.#source;
    if (source === undefined) {
      return body.fail('this matrix was declared by its bytes: move it by bytes');
    }
    const { swizzle, transposed, rows } = source;
    const size = bytesOf(source.element);
    const perTile = swizzle.width / size;
    const unit = (transposed ? 16 : 32) / size;
    if (row % atomRows !== 0 || column % unit !== 0) {
      body.fail(
        `matrices in shared field "${source.name}" start at multiples of ${atomRows} rows and ${unit} columns, not at [${row}, ${column}]`,
      );
    }
    const { within } = this.#origin;
    const reached = within + column;
    const tiles = Math.floor(reached / perTile);
    const next = reached - tiles * perTile;
    const bytes = row * swizzle.width + tiles * swizzle.width * rows + (next - within) * size;
    const plus = (x: number | undefined, n: number) => (x === undefined ? undefined : x + n);
    return this.#moved(this.#low, bytes, source, {
      row: plus(this.#origin.row, row),
      column: plus(this.#origin.column, column),
      within: next,
    });
  }

  /** The same matrix, whose bits are elements of another type of the same size. */
  as(element: MemType): MatrixDescriptor {
    const source = this.#source;
    if (source === undefined || source.element === element) return this;
    if (bytesOf(source.element) !== bytesOf(element)) {
      this.#low.body.fail(
        `shared field "${source.name}" holds ${source.element}, which has not the size of ${element}`,
      );
    }
    return this.#moved(this.#low, 0, { ...source, element }, this.#origin);
  }

  /** The matrix that starts so many tiles (columns as wide as the swizzle) further. */
  tile(count: number | Value<'u32' | 's32'>): MatrixDescriptor {
    const { body } = this.#low;
    const source = this.#source;
    if (source === undefined) {
      return body.fail('this matrix was declared by its bytes: move it by bytes');
    }
    const { width } = source.swizzle;
    if (typeof count === 'number') return this.at(0, (count * width) / bytesOf(source.element));
    const far = count.as('u32').mul((width * source.rows) / 16);
    const origin = { ...this.#origin, column: undefined };
    return this.#moved(this.#low.add(far), 0, source, origin);
  }

  /** Why a matrix of `lines` rows (or columns) and this depth is not there; undefined if it is. */
  objection(type: MemType, lines: number, depth: number, transposed: boolean): string | undefined {
    const source = this.#source;
    if (source === undefined) return undefined;
    const { name, element, rows, columns, swizzle } = source;
    const { row, column, within } = this.#origin;
    if (element !== type) return `shared field "${name}" holds ${element}, not ${type}`;
    if (transposed !== source.transposed) {
      return `the matrix in shared field "${name}" is ${source.transposed ? 'MN-major: it needs' : 'K-major: it must not have'} the transposition`;
    }
    const [high, wide] = transposed ? [depth, lines] : [lines, depth];
    const outside = (from: number | undefined, count: number, limit: number) =>
      (from ?? 0) < 0 || (from ?? 0) + count > limit;
    if (outside(row, high, rows) || outside(column, wide, columns)) {
      return `${high}×${wide} elements from [${row ?? '?'}, ${column ?? '?'}] are not all in shared field "${name}" [${rows}, ${columns}]`;
    }
    const perTile = swizzle.width / bytesOf(element);
    if (within !== 0 && within + wide > perTile) {
      return `${wide} columns from ${within} of a tile of ${perTile} go over its end; start at a tile`;
    }
    return undefined;
  }

  /** The descriptor in a register. */
  value(): Value<'b64'> {
    const { body } = this.#low;
    const high = body.once(`descriptor ${this.#high}`, () =>
      body.one(mov({ bits: 'b32' }), 'u32', [arg('b32', this.#high | 0)], ['b32']),
    );
    const low = this.#low.add(this.#step);
    return body.one(pack({ bits: 'b64' }), 'b64', [arg('b32', low), arg('b32', high)]);
  }

  #moved(
    low: Value<'u32'>,
    bytes: number,
    source: MatrixSource | undefined,
    origin: Origin,
  ): MatrixDescriptor {
    return new MatrixDescriptor(low, this.#high, this.#step + bytes / 16, source, origin);
  }
}
