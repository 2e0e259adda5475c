import { MaskedRegister } from '../operands/masked.ts';
import { type Scale, ScaledIndex } from '../operands/memory.ts';
import type { Mask } from './mask.ts';
import { Register, type VectorKind } from './register.ts';

/** A vector register seen as 128, 256 or 512 bits. */
export class VectorRegister<out K extends VectorKind = VectorKind> extends Register<K> {
  override get name(): string {
    return `${this.kind}${this.number}`;
  }

  /** Its low 128 bits. */
  get xmm(): Xmm {
    return new VectorRegister('xmm', this.number, this.lease);
  }

  /** Its low 256 bits. */
  get ymm(): Ymm {
    return new VectorRegister('ymm', this.number, this.lease);
  }

  /** All its 512 bits. */
  get zmm(): Zmm {
    return new VectorRegister('zmm', this.number, this.lease);
  }

  /** As a destination: lanes whose bit in the mask is 0 keep what they held. */
  masked(mask: Mask): MaskedRegister<K> {
    return new MaskedRegister<K>(this, mask, false);
  }

  /** As a destination: lanes whose bit in the mask is 0 become zero. */
  zeroMasked(mask: Mask): MaskedRegister<K> {
    return new MaskedRegister<K>(this, mask, true);
  }

  /** As the index of a gather: `table.at(offsets.times(4))`. */
  times(scale: Scale): ScaledIndex<K> {
    return new ScaledIndex<K>(this, scale);
  }
}

export type Xmm = VectorRegister<'xmm'>;
export type Ymm = VectorRegister<'ymm'>;
export type Zmm = VectorRegister<'zmm'>;
