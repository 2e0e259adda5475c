import { littleEndian } from '../encode/bytes.ts';
import { LabelError } from '../errors.ts';
import type { Feature } from '../features/feature.ts';
import { instructionText } from '../listing/text.ts';
import type { Label } from '../operands/label.ts';
import type { ConstantPool } from './constants.ts';
import type { InstructionItem, Item, JumpItem } from './item.ts';
import { alignUp, isNear, type Layout, layOut } from './layout.ts';
import { nops } from './nops.ts';
import type { Line, Program } from './program.ts';

/** Places code and constants, and fills in the distances between them. */
export function finish(
  name: string,
  items: readonly Item[],
  pool: ConstantPool,
  features: readonly Feature[],
): Program {
  const layout = layOut(items);
  const { constants, bytes: constantBytes } = pool.place();
  const start = alignUp(layout.bytes, 64);
  const addresses = new Map(layout.labels);
  for (const { label, offset } of constants) addresses.set(label, start + offset);
  const lines: Line[] = items.map((item, i) => {
    const address = layout.addresses[i];
    const next = layout.addresses[i + 1] ?? layout.bytes;
    return lineOf(item, address, next - address, layout, addresses);
  });
  for (const { bytes, offset, text, label } of constants) {
    const address = start + offset;
    lines.push({ kind: 'label', address, bytes: new Uint8Array(), text: label.name });
    lines.push({ kind: 'constant', address, bytes, text });
  }
  const bytes = new Uint8Array(constants.length > 0 ? start + constantBytes : layout.bytes);
  for (const line of lines) bytes.set(line.bytes, line.address);
  const labels = new Map([...addresses].map(([label, address]) => [label.name, address]));
  return { name, bytes, codeBytes: layout.bytes, alignment: 64, features, labels, lines };
}

function lineOf(
  item: Item,
  address: number,
  size: number,
  layout: Layout,
  addresses: ReadonlyMap<Label, number>,
): Line {
  const none = new Uint8Array();
  switch (item.kind) {
    case 'label':
      return { kind: 'label', address, bytes: none, text: item.label.name };
    case 'comment':
      return { kind: 'comment', address, bytes: none, text: item.text };
    case 'align':
      return { kind: 'padding', address, bytes: Uint8Array.from(nops(size)), text: 'nop' };
    case 'jump': {
      const bytes = jumpBytes(item, address, layout, addressOf(item.target, addresses));
      return { kind: 'instruction', address, bytes, text: `${item.mnemonic} ${item.target}` };
    }
    case 'instruction': {
      const { mnemonic, form, operands } = item;
      const bytes = referring(item, address, addresses);
      const text = instructionText(mnemonic, form, operands);
      return { kind: 'instruction', address, bytes, text };
    }
  }
}

function addressOf(label: Label, addresses: ReadonlyMap<Label, number>): number {
  const address = addresses.get(label);
  if (address !== undefined) return address;
  throw new LabelError({
    subject: `label ${label}`,
    expected: 'a label with a place',
    actual: 'one that was never placed',
    remedy: 'Call `place` where it should be.',
  });
}

function jumpBytes(item: JumpItem, address: number, layout: Layout, target: number): Uint8Array {
  const near = isNear(item, layout.near);
  const bytes = [...(near ? item.form.opcode : (item.form.shortOpcode ?? []))];
  const size = near ? 4 : 1;
  littleEndian(bytes, BigInt(target - (address + bytes.length + size)), size);
  return Uint8Array.from(bytes);
}

/** The bytes, with the distance to the label that they refer to. */
function referring(
  { encoded }: InstructionItem,
  address: number,
  addresses: ReadonlyMap<Label, number>,
): Uint8Array {
  const bytes = Uint8Array.from(encoded.bytes);
  const { reference } = encoded;
  if (reference === undefined) return bytes;
  const target = addressOf(reference.label, addresses) + reference.plus;
  new DataView(bytes.buffer).setInt32(reference.at, target - (address + bytes.length), true);
  return bytes;
}
