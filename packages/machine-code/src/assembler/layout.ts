import type { Label } from '../operands/label.ts';
import type { Item, JumpItem } from './item.ts';

/** Where everything lies, when jumps are as short as they can be. */
export interface Layout {
  /** The address of each item. */
  readonly addresses: readonly number[];
  readonly labels: ReadonlyMap<Label, number>;
  /** The jumps that need a distance of 32 bits. */
  readonly near: ReadonlySet<JumpItem>;
  readonly bytes: number;
}

export const alignUp = (address: number, to: number): number => Math.ceil(address / to) * to;

/** Bytes of an item at an address. */
export function sizeOf(item: Item, address: number, near: ReadonlySet<JumpItem>): number {
  switch (item.kind) {
    case 'instruction':
      return item.encoded.bytes.length;
    case 'jump':
      return isNear(item, near) ? item.form.opcode.length + 4 : 2;
    case 'align':
      return alignUp(address, item.bytes) - address;
    default:
      return 0;
  }
}

export const isNear = (jump: JumpItem, near: ReadonlySet<JumpItem>): boolean =>
  jump.form.shortOpcode === undefined || near.has(jump);

/**
 * Places the items. All jumps begin short; those whose target is out of reach become near, until none is.
 * They never become short again, so this ends.
 */
export function layOut(items: readonly Item[]): Layout {
  const near = new Set<JumpItem>();
  for (;;) {
    const addresses: number[] = [];
    const labels = new Map<Label, number>();
    let address = 0;
    for (const item of items) {
      addresses.push(address);
      if (item.kind === 'label') labels.set(item.label, address);
      address += sizeOf(item, address, near);
    }
    let grown = false;
    for (const [i, item] of items.entries()) {
      if (item.kind !== 'jump' || isNear(item, near)) continue;
      const distance = (labels.get(item.target) ?? 0) - (addresses[i] + 2);
      if (distance >= -128 && distance <= 127) continue;
      near.add(item);
      grown = true;
    }
    if (!grown) return { addresses, labels, near, bytes: address };
  }
}
