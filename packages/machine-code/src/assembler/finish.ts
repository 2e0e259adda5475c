import { littleEndian } from '../encode/bytes.ts';
import { LabelError } from '../errors.ts';
import type { Feature } from '../features/feature.ts';
import { instructionText } from '../listing/text.ts';
import type { Label } from '../operands/label.ts';
import type { ConstantPool, PlacedConstant } from './constants.ts';
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
  const bytes = new Uint8Array(constants.length > 0 ? start + constantBytes : layout.bytes);
  for (const [i, item] of items.entries()) {
    const address = layout.addresses[i];
    const next = layout.addresses[i + 1] ?? layout.bytes;
    bytes.set(bytesOf(item, address, next - address, layout, addresses), address);
  }
  for (const { bytes: content, offset } of constants) bytes.set(content, start + offset);
  const labels = new Map([...addresses].map(([label, address]) => [label.name, address]));
  let lines: readonly Line[] | undefined;
  return {
    name,
    bytes,
    codeBytes: layout.bytes,
    alignment: 64,
    features,
    labels,
    // Text takes longer than code, and few look at it.
    get lines() {
      lines ??= linesOf(items, layout, bytes, start, constants);
      return lines;
    },
  };
}

function linesOf(
  items: readonly Item[],
  layout: Layout,
  bytes: Uint8Array,
  start: number,
  constants: readonly PlacedConstant[],
): Line[] {
  const lines: Line[] = items.map((item, i) => {
    const address = layout.addresses[i];
    const next = layout.addresses[i + 1] ?? layout.bytes;
    return { address, bytes: bytes.subarray(address, next), ...textOf(item) };
  });
  for (const { bytes: content, offset, text, label } of constants) {
    const address = start + offset;
    const none = bytes.subarray(address, address);
    lines.push({ kind: 'label', address, bytes: none, text: label.name });
    const end = address + content.length;
    lines.push({ kind: 'constant', address, bytes: bytes.subarray(address, end), text });
  }
  return lines;
}

function textOf(item: Item): Pick<Line, 'kind' | 'text'> {
  switch (item.kind) {
    case 'label':
      return { kind: 'label', text: item.label.name };
    case 'comment':
      return { kind: 'comment', text: item.text };
    case 'align':
      return { kind: 'padding', text: 'nop' };
    case 'jump':
      return { kind: 'instruction', text: `${item.mnemonic} ${item.target}` };
    case 'instruction': {
      const { mnemonic, form, operands } = item;
      return { kind: 'instruction', text: instructionText(mnemonic, form, operands) };
    }
  }
}

function bytesOf(
  item: Item,
  address: number,
  size: number,
  layout: Layout,
  addresses: ReadonlyMap<Label, number>,
): ArrayLike<number> {
  switch (item.kind) {
    case 'align':
      return nops(size);
    case 'jump':
      return jumpBytes(item, address, layout, addressOf(item.target, addresses));
    case 'instruction':
      return referring(item, address, addresses);
    default:
      return [];
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

function jumpBytes(item: JumpItem, address: number, layout: Layout, target: number): number[] {
  const near = isNear(item, layout.near);
  const bytes = [...(near ? item.form.opcode : (item.form.shortOpcode ?? []))];
  const size = near ? 4 : 1;
  littleEndian(bytes, BigInt(target - (address + bytes.length + size)), size);
  return bytes;
}

/** The bytes, with the distance to the label that they refer to. */
function referring(
  { encoded }: InstructionItem,
  address: number,
  addresses: ReadonlyMap<Label, number>,
): ArrayLike<number> {
  const { reference } = encoded;
  if (reference === undefined) return encoded.bytes;
  const bytes = Uint8Array.from(encoded.bytes);
  const target = addressOf(reference.label, addresses) + reference.plus;
  new DataView(bytes.buffer).setInt32(reference.at, target - (address + bytes.length), true);
  return bytes;
}
