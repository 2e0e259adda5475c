import { MachineCodeError } from '../errors.ts';
import type { FormText } from '../instructions/signature.ts';
import type { RegisterKind, VectorKind } from '../registers/register.ts';
import type { Access, Form, ImmediateRange, Masking, Role, Slot } from './form.ts';

const kinds: Readonly<Record<string, RegisterKind>> = {
  r8: 'gpr8',
  r16: 'gpr16',
  r32: 'gpr32',
  r64: 'gpr64',
  xmm: 'xmm',
  ymm: 'ymm',
  zmm: 'zmm',
  k: 'mask',
  tmm: 'tile',
};
const fixed: Readonly<Record<string, readonly [RegisterKind, number]>> = {
  al: ['gpr8', 0],
  ax: ['gpr16', 0],
  eax: ['gpr32', 0],
  rax: ['gpr64', 0],
  cl: ['gpr8', 1],
};
const vectors: Readonly<Record<string, VectorKind>> = { x: 'xmm', y: 'ymm', z: 'zmm' };
const maskings: Readonly<Record<string, Masking>> = {
  '{k}': 'merge',
  '{z}': 'zero',
  '{!}': 'required',
};
const roleOf: Readonly<Record<string, Role>> = { R: 'reg', V: 'vvvv', M: 'rm', O: 'opcode' };
const prefixes: Readonly<Record<string, number>> = { NP: 0, '66': 1, F3: 2, F2: 3 };
const maps: Readonly<Record<string, number>> = { '0F': 1, '0F38': 2, '0F3A': 3, MAP5: 5, MAP6: 6 };
const lengths: Readonly<Record<string, number>> = { '128': 0, '256': 1, '512': 2 };
const immediates: Readonly<Record<string, number>> = { ib: 1, iw: 2, id: 4, io: 8, '/is4': 1 };

function wrong(text: string, part: string): MachineCodeError {
  return new MachineCodeError({
    subject: `table entry "${text}"`,
    expected: "the manual's notation",
    actual: `"${part}"`,
    remedy: 'Correct the entry.',
  });
}

function signed(bits: number, width: number): ImmediateRange {
  return { least: -(1n << BigInt(bits - 1)), most: (1n << BigInt(bits - 1)) - 1n, width };
}

/** `width` is that of the operation: 0xfffffff0 is −16 to an operation of 32 bits. */
function rangeOf(token: string, width: number): ImmediateRange | undefined {
  if (token === 'imm8') return signed(8, width);
  if (token === 'uimm8') return { least: 0n, most: 255n, width: 64 };
  if (token === 'imm16') return signed(16, width);
  if (token === 'imm32') return signed(32, width);
  if (token === 'imm64') return signed(64, width);
  return token === '1' ? { least: 1n, most: 1n, width: 64 } : undefined;
}

function accessOf(token: string, width: number, text: string, slot: string): Access {
  const [, name = '', decoration = ''] = /^(\w+)(\{.\})?$/.exec(token) ?? [];
  const masking = decoration === '' ? 'none' : maskings[decoration];
  const range = rangeOf(name, width);
  if (masking === undefined) throw wrong(text, token);
  if (range !== undefined) return { kind: 'immediate', range };
  if (name in kinds) return { kind: 'register', register: kinds[name], only: undefined, masking };
  if (name in fixed) {
    const [register, only] = fixed[name];
    return { kind: 'register', register, only, masking };
  }
  if (name === 'target') return { kind: 'target' };
  const [, letter = '', size = '', index = ''] = /^(m|b|mtile|vm)(\d*)([xyz]?)$/.exec(name) ?? [];
  if (letter === 'b') {
    const whole = Number(/\bm(\d+)/.exec(slot)?.[1]);
    return { kind: 'broadcast', bytes: Number(size) / 8, lanes: whole / Number(size) };
  }
  if (letter === '') throw wrong(text, token);
  return {
    kind: 'memory',
    bytes: Number(size) / 8,
    index: vectors[index] ?? 'gpr64',
    strided: letter === 'mtile',
    masking,
  };
}

/** Bits of the operation, which say how immediates are read. */
function widthOf(operands: string): number {
  const [, size] = /^(?:r|m)(8|16|32)\b/.exec(operands) ?? [];
  if (size !== undefined) return Number(size);
  const accumulators: Readonly<Record<string, number>> = { al: 8, ax: 16, eax: 32 };
  return accumulators[operands.split(',')[0]] ?? 64;
}

const isImmediate = (slot: Slot): boolean => slot.accesses[0].kind === 'immediate';
const isFixed = (slot: Slot): boolean => {
  const [access] = slot.accesses;
  return access.kind === 'register' && access.only !== undefined && slot.accesses.length === 1;
};

/** Where the operands go when the entry does not say: what the manual's columns say mostly. */
function usualOrder(
  slots: readonly Slot[],
  form: { digit: boolean; vector: boolean; plus: boolean },
): string {
  if (form.plus) return 'O';
  if (form.digit) return form.vector && slots.length === 2 ? 'VM' : 'M';
  if (slots.length >= 3) return 'RVM';
  const memoryFirst = slots[0]?.accesses.some(({ kind }) => kind === 'memory') ?? false;
  if (slots.length === 1) return 'M';
  return memoryFirst && !slots[1].accesses.some(({ kind }) => kind === 'memory') ? 'MR' : 'RM';
}

/** Reads a table entry. */
export function readForm({ operands, encoding, features }: FormText): Form {
  const text = `${operands} = ${encoding}`;
  const width = widthOf(operands);
  const slots: Slot[] = (operands === '' ? [] : operands.split(', ')).map((slot) => ({
    text: slot,
    accesses: slot.split('/').map((token) => accessOf(token, width, text, slot)),
  }));
  const [main = '', short] = encoding.split(' | ').reverse();
  const tokens = main.split(' ');
  const head = readHead(tokens, text);
  const opcode: number[] = [];
  let digit: number | undefined;
  let modrm = false;
  let order: string | undefined;
  let plus = false;
  let immediateBytes = 0;
  let unit: number | undefined;
  for (const token of tokens) {
    if (/^[0-9A-F]{2}$/.test(token)) opcode.push(Number.parseInt(token, 16));
    else if (/^\/[0-7]$/.test(token)) [digit, modrm] = [Number(token[1]), true];
    else if (token === '/r') modrm = true;
    else if (token === '+r') plus = true;
    else if (token in immediates) immediateBytes = immediates[token];
    else if (/^[RVMO]+$/.test(token)) order = token;
    else if (/^N\d+$/.test(token)) unit = Number(token.slice(1));
    else if (token !== 'cb' && token !== 'cd') throw wrong(text, token);
  }
  const placed = slots.filter(
    (slot) => !isImmediate(slot) && !isFixed(slot) && slot.accesses[0].kind !== 'target',
  );
  const vector = head.space !== 'legacy';
  const named = placed.slice(0, main.includes('/is4') ? 3 : undefined);
  const letters = [...(order ?? usualOrder(named, { digit: digit !== undefined, vector, plus }))];
  const roles = slots.map((slot): Role => {
    if (slot.accesses[0].kind === 'target') return 'target';
    if (isImmediate(slot)) return slot.text === '1' ? 'implied' : 'immediate';
    if (isFixed(slot)) return 'implied';
    return roleOf[letters.shift() ?? ''] ?? 'is4';
  });
  const shortOpcode = short
    ?.split(' ')
    .slice(0, 1)
    .map((byte) => Number.parseInt(byte, 16));
  return {
    slots,
    roles,
    encoding: head,
    opcode,
    shortOpcode,
    digit,
    modrm,
    immediateBytes,
    unit,
    features,
    text,
  };
}

/** Takes what stands before the opcode off the tokens. */
function readHead(tokens: string[], text: string): Form['encoding'] {
  const first = tokens[0];
  if (/^E?VEX\./.test(first)) {
    tokens.shift();
    const [space, length, prefix, map, w] = first.split('.');
    if (!(length in lengths && prefix in prefixes && map in maps)) throw wrong(text, first);
    return {
      space: space === 'VEX' ? 'vex' : 'evex',
      length: lengths[length],
      prefix: prefixes[prefix],
      map: maps[map],
      wide: w === 'W1' ? 1 : 0,
    };
  }
  const before: number[] = [];
  // Mandatory prefixes come before REX; F0 is lock.
  while (['66', 'F0', 'F2', 'F3'].includes(tokens[0]) && tokens.length > 1) {
    before.push(Number.parseInt(tokens.shift() ?? '', 16));
  }
  const wide = tokens[0] === 'REX.W';
  if (wide) tokens.shift();
  return { space: 'legacy', prefixes: before, wide };
}
