import { mov, pack } from '../instructions/move.ts';
import type { MemType } from '../ir/types.ts';
import { type Swizzle, swizzleRule } from '../layout/swizzle.ts';
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

const swizzleCode: Record<Swizzle, number> = { '128B': 1, '64B': 2, '32B': 3 };

/**
 * Names a matrix in shared memory to `wgmma`: a start address and how the matrix goes on from there.
 * Steps by constants cost one addition.
 */
export class MatrixDescriptor {
  readonly #low: Value<'u32'>;
  readonly #high: number;
  readonly #step: number;

  private constructor(low: Value<'u32'>, high: number, step: number) {
    this.#low = low;
    this.#high = high;
    this.#step = step;
  }

  /** The matrix that starts at `start`. */
  static of(start: Pointer<'shared', MemType>, layout: MatrixLayout): MatrixDescriptor {
    const { swizzle, stride, leading = 16 } = layout;
    const { body } = start;
    const fits = (bytes: number) => Number.isInteger(bytes) && bytes % 16 === 0 && bytes < 2 ** 18;
    if (!fits(stride) || !fits(leading)) {
      body.fail(
        `strides of a matrix are multiples of 16 bytes below 2^18, not ${stride}, ${leading}`,
      );
    }
    if (stride % swizzleRule(swizzle).width !== 0) {
      body.fail(`rows of a ${swizzle} swizzle cannot be ${stride} bytes apart by eights`);
    }
    const low = start
      .address()
      .and(0x3ffff)
      .shr(4)
      .or((leading >> 4) << 16);
    return new MatrixDescriptor(low, (stride >> 4) | (swizzleCode[swizzle] << 30), 0);
  }

  /** The matrix that starts so many bytes further. */
  bytes(count: number): MatrixDescriptor {
    if (count % 16 !== 0) this.#low.body.fail(`a matrix cannot start ${count} bytes further`);
    return new MatrixDescriptor(this.#low, this.#high, this.#step + count / 16);
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
}
