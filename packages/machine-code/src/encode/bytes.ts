import { Label } from '../operands/label.ts';
import { MaskedRegister } from '../operands/masked.ts';
import { Broadcast, type Memory } from '../operands/memory.ts';
import { maskOf, memoryOf, type Operand } from '../operands/operand.ts';
import { Register } from '../registers/register.ts';
import type { Form, LegacyEncoding, VectorEncoding } from './form.ts';
import { reduced } from './match.ts';

/** Bytes of an instruction, and what must be filled in when addresses are known. */
export interface Encoded {
  readonly bytes: number[];
  /** The 32-bit distance from the instruction's end to a label, plus a displacement. */
  readonly reference:
    | { readonly at: number; readonly label: Label; readonly plus: number }
    | undefined;
}

interface Parts {
  reg: number;
  vvvv: number;
  rm: Register | Memory | undefined;
  opcode: Register | undefined;
  is4: number;
  immediate: bigint;
  mask: number;
  zeroing: boolean;
  broadcast: number;
  /** Bytes that a compressed displacement counts. */
  unit: number;
  /** sil, dil, spl and bpl exist only with a REX prefix. */
  needsRex: boolean;
}

/** Encodes operands that fit the form. */
export function encode(form: Form, operands: readonly Operand[]): Encoded {
  const parts = partsOf(form, operands);
  const bytes: number[] = [];
  if (form.encoding.space === 'legacy') legacy(bytes, form.encoding, form.opcode, parts);
  else vector(bytes, form.encoding, form.opcode, parts);
  if (parts.opcode !== undefined) bytes[bytes.length - 1] |= parts.opcode.number & 7;
  let reference: Encoded['reference'];
  if (form.modrm) {
    const strided = form.slots.some(({ accesses }) =>
      accesses.some((access) => access.kind === 'memory' && access.strided),
    );
    const { rm } = parts;
    if (rm !== undefined && !(rm instanceof Register) && rm.base instanceof Label) {
      bytes.push(((parts.reg & 7) << 3) | 5, 0, 0, 0, 0);
      reference = { at: bytes.length - 4, label: rm.base, plus: rm.displacement };
    } else modrm(bytes, parts.reg, rm, parts.unit, strided);
  }
  if (form.roles.includes('is4')) bytes.push(parts.is4 << 4);
  else littleEndian(bytes, parts.immediate, form.immediateBytes);
  return { bytes, reference };
}

function partsOf(form: Form, operands: readonly Operand[]): Parts {
  const evex = form.encoding.space === 'evex';
  const parts: Parts = {
    reg: form.digit ?? 0,
    vvvv: 0,
    rm: undefined,
    opcode: undefined,
    is4: 0,
    immediate: 0n,
    mask: 0,
    zeroing: false,
    broadcast: 0,
    unit: 1,
    needsRex: false,
  };
  for (const [i, operand] of operands.entries()) {
    const role = form.roles[i];
    const masked = operand instanceof MaskedRegister ? operand : undefined;
    const register = operand instanceof Register ? operand : masked?.register;
    parts.mask = maskOf(operand)?.number ?? parts.mask;
    parts.zeroing ||= masked?.zeroing ?? false;
    if (register?.kind === 'gpr8' && register.number > 3) parts.needsRex = true;
    if (role === 'immediate' && (typeof operand === 'number' || typeof operand === 'bigint')) {
      const [access] = form.slots[i].accesses;
      const width = access.kind === 'immediate' ? access.range.width : 64;
      parts.immediate = reduced(BigInt(operand), width);
    }
    const memory = memoryOf(operand);
    if (memory !== undefined) {
      parts.rm = memory;
      parts.broadcast = operand instanceof Broadcast ? 1 : 0;
      if (evex) {
        const size = bytesAccessed(form, i, operand instanceof Broadcast);
        parts.unit = form.unit ?? Math.max(1, size);
      }
    } else if (register !== undefined) {
      if (role === 'rm') parts.rm = register;
      else if (role === 'opcode') parts.opcode = register;
      else if (role === 'reg' || role === 'vvvv' || role === 'is4') parts[role] = register.number;
    }
  }
  return parts;
}

/** Bytes of memory that the operand at this place reads or writes. */
export function bytesAccessed(form: Form, index: number, broadcast: boolean): number {
  const wanted = broadcast ? 'broadcast' : 'memory';
  for (const access of form.slots[index].accesses) {
    if (access.kind === wanted && 'bytes' in access) return access.bytes;
  }
  return 0;
}

/** The bits that extend the register numbers in the ModRM and SIB bytes. */
function extensions({ rm, opcode }: Parts): { x: number; b: number; high: number } {
  if (rm === undefined) return { x: 0, b: ((opcode?.number ?? 0) >> 3) & 1, high: 0 };
  if (rm instanceof Register) return { x: (rm.number >> 4) & 1, b: (rm.number >> 3) & 1, high: 0 };
  const base = rm.base instanceof Label ? 0 : rm.base.number;
  const index = rm.index?.register.number ?? 0;
  return { x: (index >> 3) & 1, b: (base >> 3) & 1, high: (index >> 4) & 1 };
}

function legacy(bytes: number[], form: LegacyEncoding, opcode: readonly number[], parts: Parts) {
  bytes.push(...form.prefixes);
  const { x, b } = extensions(parts);
  const rex = (form.wide ? 8 : 0) | ((parts.reg & 8) >> 1) | (x << 1) | b;
  if (rex !== 0 || parts.needsRex) bytes.push(0x40 | rex);
  bytes.push(...opcode);
}

function vector(bytes: number[], form: VectorEncoding, opcode: readonly number[], parts: Parts) {
  const { x, b, high } = extensions(parts);
  const { reg, vvvv } = parts;
  const r = (reg >> 3) & 1;
  const last = (form.wide << 7) | ((~vvvv & 15) << 3) | form.prefix;
  if (form.space === 'evex') {
    const upper = ((vvvv >> 4) & 1) | high;
    bytes.push(
      0x62,
      ((r ^ 1) << 7) | ((x ^ 1) << 6) | ((b ^ 1) << 5) | ((~reg & 16) >> 0) | form.map,
      last | 4,
      ((parts.zeroing ? 1 : 0) << 7) |
        (form.length << 5) |
        (parts.broadcast << 4) |
        ((upper ^ 1) << 3) |
        parts.mask,
    );
  } else if (x === 0 && b === 0 && form.wide === 0 && form.map === 1) {
    bytes.push(0xc5, ((r ^ 1) << 7) | last | (form.length << 2));
  } else {
    const inverted = ((r ^ 1) << 7) | ((x ^ 1) << 6) | ((b ^ 1) << 5);
    bytes.push(0xc4, inverted | form.map, last | (form.length << 2));
  }
  bytes.push(...opcode);
}

function modrm(
  bytes: number[],
  reg: number,
  rm: Register | Memory | undefined,
  unit: number,
  strided: boolean,
) {
  const field = (reg & 7) << 3;
  if (rm === undefined || rm instanceof Register) {
    bytes.push(0xc0 | field | ((rm?.number ?? 0) & 7));
    return;
  }
  const { index, displacement } = rm;
  const base = rm.base instanceof Register ? rm.base.number & 7 : 0;
  const scaled = displacement / unit;
  const short = Number.isInteger(scaled) && scaled >= -128 && scaled <= 127;
  // A base of rbp or r13 always has a displacement, one of rsp or r12 always a SIB byte.
  const mode = displacement === 0 && base !== 5 ? 0 : short ? 1 : 2;
  if (index === undefined && base !== 4 && !strided) bytes.push((mode << 6) | field | base);
  else {
    const number = index === undefined ? 4 : index.register.number & 7;
    const scale = Math.log2(index?.scale ?? 1);
    bytes.push((mode << 6) | field | 4, (scale << 6) | (number << 3) | base);
  }
  if (mode === 1) bytes.push(scaled & 255);
  if (mode === 2) littleEndian(bytes, BigInt(displacement), 4);
}

/** Appends the low bytes of an integer. */
export function littleEndian(bytes: number[], value: bigint, count: number): void {
  for (let i = 0; i < count; i++) bytes.push(Number((value >> BigInt(8 * i)) & 255n));
}
