import { Label } from '../operands/label.ts';
import { MaskedMemory, MaskedRegister } from '../operands/masked.ts';
import { Broadcast, Memory } from '../operands/memory.ts';
import type { Operand } from '../operands/operand.ts';
import { Register } from '../registers/register.ts';
import type { Access, Form, Masking } from './form.ts';

/** Why an operand does not fit where it stands. */
export interface Mismatch {
  /** How near the operand came: of several forms' complaints the nearest is told. */
  readonly near: number;
  readonly index: number;
  readonly expected: string;
  readonly actual: string;
  readonly remedy: string;
}

type Complaint = Omit<Mismatch, 'index'>;

const otherKind: Complaint = { near: 0, expected: '', actual: '', remedy: '' };

/** Whether the form takes the operands. */
export function fits({ slots, encoding }: Form, operands: readonly Operand[]): boolean {
  if (slots.length !== operands.length) return false;
  const evex = encoding.space === 'evex';
  for (let i = 0; i < slots.length; i++) {
    let fit = false;
    for (const access of slots[i].accesses) {
      fit = refusal(access, operands[i], evex) === undefined;
      if (fit) break;
    }
    if (!fit) return false;
  }
  return true;
}

/** What keeps the operands from fitting the form; undefined if nothing does. */
export function mismatch(form: Form, operands: readonly Operand[]): Mismatch | undefined {
  const { slots } = form;
  if (slots.length !== operands.length) {
    const expected = `${slots.length} operands`;
    return { ...otherKind, near: -1, index: 0, expected, actual: `${operands.length}` };
  }
  for (const [index, operand] of operands.entries()) {
    let nearest: Complaint | undefined;
    for (const access of slots[index].accesses) {
      const complaint = refusal(access, operand, form.encoding.space === 'evex');
      if (complaint === undefined) {
        nearest = undefined;
        break;
      }
      if (nearest === undefined || complaint.near > nearest.near) nearest = complaint;
    }
    if (nearest !== undefined) return { ...nearest, near: nearest.near + index, index };
  }
  return undefined;
}

function refusal(access: Access, operand: Operand, evex: boolean): Complaint | undefined {
  switch (access.kind) {
    case 'register': {
      const masked = operand instanceof MaskedRegister ? operand : undefined;
      const register = masked?.register ?? operand;
      if (!(register instanceof Register) || register.kind !== access.register) return otherKind;
      return (
        badNumber(access.only, register, evex) ??
        badMask(access.masking, masked?.mask, masked?.zeroing ?? false)
      );
    }
    case 'memory': {
      const masked = operand instanceof MaskedMemory ? operand : undefined;
      const memory = masked?.memory ?? operand;
      if (!(memory instanceof Memory)) return otherKind;
      return badMemory(access, memory, evex) ?? badMask(access.masking, masked?.mask, false);
    }
    case 'broadcast':
      if (!(operand instanceof Broadcast)) return otherKind;
      if (operand.lanes !== undefined && operand.lanes !== access.lanes) return otherKind;
      return badMemory(
        { bytes: access.bytes, index: 'gpr64', strided: false },
        operand.memory,
        evex,
      );
    case 'immediate':
      return badImmediate(access, operand);
    default:
      return operand instanceof Label ? undefined : otherKind;
  }
}

function badNumber(
  only: number | undefined,
  register: Register,
  evex: boolean,
): Complaint | undefined {
  if (only !== undefined && register.number !== only) return otherKind;
  if (evex || register.number < 16) return undefined;
  return {
    near: 20,
    expected: 'a vector register from 0 to 15: this form has no bit for more',
    actual: register.name,
    remedy: 'Take a register below 16.',
  };
}

function badMask(
  masking: Masking,
  mask: Register<'mask'> | undefined,
  zeroing: boolean,
): Complaint | undefined {
  const problem = { near: 20, remedy: 'Choose another mask, or leave it out.' };
  if (mask === undefined) {
    if (masking !== 'required') return undefined;
    const remedy = 'Add `.masked(k)`; the instruction clears it.';
    return { near: 20, expected: 'a mask', actual: 'none', remedy };
  }
  if (masking === 'none') return { ...problem, expected: 'no mask', actual: `{${mask}}` };
  if (mask.number === 0) return { ...problem, expected: 'a mask of k1 to k7', actual: mask.name };
  if (!zeroing || masking === 'zero') return undefined;
  return { ...problem, expected: 'a mask that keeps the other lanes', actual: `{${mask}}{z}` };
}

function badMemory(
  access: Pick<Access & { kind: 'memory' }, 'bytes' | 'index' | 'strided'>,
  memory: Memory,
  evex: boolean,
): Complaint | undefined {
  const { index, bytes } = memory;
  const kind = index?.register.kind ?? 'gpr64';
  if (kind !== access.index) return otherKind;
  if (!evex && index !== undefined && index.register.number > 15) {
    return badNumber(undefined, index.register, evex);
  }
  if (access.strided && (index === undefined || memory.base instanceof Label)) {
    return {
      near: 20,
      expected: 'a base and a row stride: `base.at(stride)`',
      actual: `${memory}`,
      remedy: 'Put the bytes from row to row into a register and make it the index.',
    };
  }
  if (bytes !== undefined && access.bytes !== 0 && bytes !== access.bytes) {
    return {
      near: 10,
      expected: `memory of ${access.bytes} bytes`,
      actual: `${bytes} bytes`,
      remedy: 'Leave the size out where the other operands tell it.',
    };
  }
  return undefined;
}

function badImmediate(
  { range }: Access & { kind: 'immediate' },
  operand: Operand,
): Complaint | undefined {
  if (typeof operand !== 'number' && typeof operand !== 'bigint') return otherKind;
  const problem = {
    // Of several forms' ranges the widest is told.
    near: 20 + Math.log2(Number(range.most - range.least) + 1) / 100,
    expected: `an integer from ${range.least} to ${range.most}`,
    actual: String(operand),
    remedy: 'Put larger values into a register first.',
  };
  if (typeof operand === 'number' && !Number.isSafeInteger(operand)) return problem;
  const value = reduced(BigInt(operand), range.width);
  return value >= range.least && value <= range.most ? undefined : problem;
}

/** 0xffffffff is −1 to an operation of 32 bits; what has more bits than that stays as it is. */
export function reduced(value: bigint, width: number): bigint {
  const half = 1n << BigInt(width - 1);
  return value >= half && value < half * 2n ? value - half * 2n : value;
}
