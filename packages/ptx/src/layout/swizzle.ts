import { DeclarationError } from '../errors.ts';

/**
 * XOR swizzles of shared-memory rows in units of 16 bytes, as TMA and wgmma know them: within each
 * segment of so many bytes, the chunk number is XORed with bits of the row number, so that the
 * chunks of one column lie in different banks.
 */
export type Swizzle = '128B' | '64B' | '32B';

/** How a swizzle derives the XOR of a row: `((row >> shift) & mask) << 4`. */
export interface SwizzleRule {
  /** Bytes of a segment. */
  readonly width: number;
  readonly shift: number;
  readonly mask: number;
  /** Alignment that makes the pattern depend on the row alone. */
  readonly align: number;
}

const rules: Record<Swizzle, SwizzleRule> = {
  '128B': { width: 128, shift: 0, mask: 7, align: 1024 },
  '64B': { width: 64, shift: 1, mask: 3, align: 512 },
  '32B': { width: 32, shift: 2, mask: 1, align: 256 },
};

/** The parameters of a swizzle. */
export function swizzleRule(swizzle: Swizzle): SwizzleRule {
  return rules[swizzle];
}

/** Checks that rows of `rowBytes` consist of whole segments. */
export function checkSwizzledRow(field: string, swizzle: Swizzle, rowBytes: number): void {
  const { width } = rules[swizzle];
  if (rowBytes % width !== 0) {
    throw new DeclarationError(
      `shared field "${field}": rows of ${rowBytes} bytes are no multiple of the ${swizzle} swizzle's ${width} bytes`,
    );
  }
}
