import { MaskedRegister } from '../operands/masked.ts';
import { Register } from './register.ts';

/** A mask register, k0–k7: a bit for each lane. k0 cannot choose lanes, only hold bits. */
export class Mask extends Register<'mask'> {
  constructor(number: number, lease?: Register['lease']) {
    super('mask', number, lease);
  }

  override get name(): string {
    return `k${this.number}`;
  }

  /** As the destination of a comparison: bits that are 0 in the other mask become 0. */
  masked(mask: Mask): MaskedRegister<'mask'> {
    return new MaskedRegister<'mask'>(this, mask, false);
  }
}
