import type { TensorElement } from '../layout/tensor-map.ts';
import type { Value } from './value.ts';

/** A tensor map parameter as a kernel sees it: what tensor copies take in place of an address. */
export class TensorMap<out E extends TensorElement> {
  readonly name: string;
  readonly element: E;
  /** Generic address of the 128 bytes. */
  readonly address: Value<'u64'>;

  constructor(name: string, element: E, address: Value<'u64'>) {
    this.name = name;
    this.element = element;
    this.address = address;
  }
}
