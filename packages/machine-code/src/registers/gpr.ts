import { type Indexing, Memory, type Scale, ScaledIndex } from '../operands/memory.ts';
import { type GprKind, Register } from './register.ts';

const legacy = ['ax', 'cx', 'dx', 'bx', 'sp', 'bp', 'si', 'di'] as const;

function nameOf(kind: GprKind, number: number): string {
  const old = legacy[number];
  if (old === undefined) {
    const suffix = { gpr8: 'b', gpr16: 'w', gpr32: 'd', gpr64: '' }[kind];
    return `r${number}${suffix}`;
  }
  if (kind === 'gpr8') return number < 4 ? `${old[0]}l` : `${old}l`;
  return { gpr16: '', gpr32: 'e', gpr64: 'r' }[kind] + old;
}

/** A general-purpose register at one of its four widths. */
export class Gpr<out K extends GprKind = GprKind> extends Register<K> {
  override get name(): string {
    return nameOf(this.kind, this.number);
  }
}

/** The low 8 bits of a general-purpose register. */
export type Gpr8 = Gpr<'gpr8'>;
/** The low 16 bits of a general-purpose register. */
export type Gpr16 = Gpr<'gpr16'>;
/** The low 32 bits of a general-purpose register; writing them clears the upper half. */
export type Gpr32 = Gpr<'gpr32'>;

/** A whole general-purpose register: what addresses and counters live in. */
export class Gpr64 extends Gpr<'gpr64'> {
  constructor(number: number, lease?: Register['lease']) {
    super('gpr64', number, lease);
  }

  get low32(): Gpr32 {
    return new Gpr('gpr32', this.number, this.lease);
  }

  get low16(): Gpr16 {
    return new Gpr('gpr16', this.number, this.lease);
  }

  get low8(): Gpr8 {
    return new Gpr('gpr8', this.number, this.lease);
  }

  /** The register as an index: `base.at(row.times(8))`. */
  times(scale: Scale): ScaledIndex<'gpr64'> {
    return new ScaledIndex<'gpr64'>(this, scale);
  }

  /**
   * Memory at this address: `keys.at(64)`, `keys.at(row)`, `keys.at(row.times(8), 64)`; with vectors
   * as index (`table.at(offsets.times(4))`) what gathers read. The displacement is in bytes.
   */
  at(displacement?: number): Memory<'gpr64'>;
  at(index: Gpr64 | ScaledIndex<'gpr64'>, displacement?: number): Memory<'gpr64'>;
  at<V extends 'xmm' | 'ymm' | 'zmm'>(index: ScaledIndex<V>, displacement?: number): Memory<V>;
  at(first: number | Gpr64 | ScaledIndex<Indexing> = 0, displacement = 0): Memory<Indexing> {
    if (typeof first === 'number') return new Memory({ base: this, displacement: first });
    const index = first instanceof Gpr64 ? first.times(1) : first;
    return new Memory({ base: this, index, displacement });
  }
}
