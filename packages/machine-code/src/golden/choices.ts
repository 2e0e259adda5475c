import type { Access, Slot } from '../encode/form.ts';
import { MaskedMemory, MaskedRegister } from '../operands/masked.ts';
import { Memory, ScaledIndex } from '../operands/memory.ts';
import type { Operand } from '../operands/operand.ts';
import { Gpr, Gpr64 } from '../registers/gpr.ts';
import { Mask } from '../registers/mask.ts';
import type { Register, RegisterKind, VectorKind } from '../registers/register.ts';
import { Tile } from '../registers/tile.ts';
import { VectorRegister } from '../registers/vector.ts';

/** Where numbers come from: an integer from 0 to below `limit`. */
export type Chooser = (limit: number) => number;

/** Distances that need no, a short and a long displacement, of both signs and at the borders. */
const displacements = [
  0, 1, 4, -4, 8, 16, 32, 60, 64, -64, 127, 128, -128, -129, 256, 508, 512, 1024, 2032, 2048, 4064,
  8128, 8192, -8192, -8256, 0x12345, -0x7fffffff,
];

const any = <T>(choose: Chooser, list: readonly T[]): T => list[choose(list.length)];

export function registerOf(kind: RegisterKind, number: number): Register {
  switch (kind) {
    case 'gpr64':
      return new Gpr64(number);
    case 'mask':
      return new Mask(number);
    case 'tile':
      return new Tile(number);
    case 'xmm':
    case 'ymm':
    case 'zmm':
      return new VectorRegister(kind, number);
    default:
      return new Gpr(kind, number);
  }
}

function countOf(kind: RegisterKind, evex: boolean): number {
  if (kind === 'mask' || kind === 'tile') return 8;
  return evex && (kind === 'xmm' || kind === 'ymm' || kind === 'zmm') ? 32 : 16;
}

function memory(
  choose: Chooser,
  { bytes, index, strided }: Access & { kind: 'memory' },
  evex: boolean,
): Memory {
  const base = new Gpr64(choose(16));
  const scale = strided ? 1 : any(choose, [1, 2, 4, 8] as const);
  const displacement = any(choose, displacements);
  let scaled: ScaledIndex | undefined;
  if (index !== 'gpr64') {
    scaled = new ScaledIndex(vectorIndex(index, choose(evex ? 32 : 16)), scale);
  } else if (strided || choose(2) === 1) {
    const number = choose(15);
    scaled = new ScaledIndex(new Gpr64(number < 4 ? number : number + 1), scale);
  }
  return new Memory({ base, index: scaled, displacement, bytes: bytes || undefined });
}

const vectorIndex = (kind: VectorKind, number: number) => new VectorRegister(kind, number);

function immediate(choose: Chooser, { range }: Access & { kind: 'immediate' }): number | bigint {
  const { least, most } = range;
  const inside = least + (BigInt(choose(0x40000000)) * (most - least + 1n)) / 0x40000000n;
  const value = any(choose, [least, most, inside, inside, least < 0n ? -1n : 1n, 1n]);
  return range.most > 0xffffffffn ? value : Number(value);
}

/** An operand that this place admits. `mask` is what the destination's lanes are chosen by. */
function operandOf(choose: Chooser, access: Access, evex: boolean): Operand {
  const maskNumber = 1 + choose(7);
  switch (access.kind) {
    case 'register': {
      const number = access.only ?? choose(countOf(access.register, evex));
      const register = registerOf(access.register, number);
      const { masking } = access;
      if (masking === 'none' || (masking !== 'required' && choose(2) === 0)) return register;
      const zeroing = masking === 'zero' && choose(2) === 1;
      return new MaskedRegister(register as Register<'zmm'>, new Mask(maskNumber), zeroing);
    }
    case 'memory': {
      const place = memory(choose, access, evex);
      const { masking } = access;
      if (masking === 'none' || (masking !== 'required' && choose(2) === 0)) return place;
      return new MaskedMemory(place, new Mask(maskNumber));
    }
    case 'broadcast':
      return memory(
        choose,
        { ...access, kind: 'memory', index: 'gpr64', strided: false, masking: 'none' },
        evex,
      ).broadcast(access.lanes);
    case 'immediate':
      return immediate(choose, access);
    case 'target':
      throw new RangeError('jumps are not drawn: their bytes depend on the code around them');
  }
}

/** Operands for a form; `pick` says which alternative each place takes. */
export function operandsFor(
  slots: readonly Slot[],
  evex: boolean,
  choose: Chooser,
  pick: (slot: Slot, index: number) => Access,
): Operand[] {
  return slots.map((slot, i) => operandOf(choose, pick(slot, i), evex));
}
