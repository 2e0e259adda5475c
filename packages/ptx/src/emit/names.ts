import type { Arg, Reg } from '../ir/program.ts';
import type { RegType } from '../ir/types.ts';

/** How registers of each type are called, and the bit type they are declared with. */
const classes: Record<RegType, { prefix: string; declared: 'pred' | 'b16' | 'b32' | 'b64' }> = {
  pred: { prefix: 'p', declared: 'pred' },
  b16: { prefix: 'h', declared: 'b16' },
  f16: { prefix: 'h', declared: 'b16' },
  bf16: { prefix: 'h', declared: 'b16' },
  e4m3x2: { prefix: 'h', declared: 'b16' },
  b32: { prefix: 'r', declared: 'b32' },
  u32: { prefix: 'r', declared: 'b32' },
  s32: { prefix: 'r', declared: 'b32' },
  f16x2: { prefix: 'r', declared: 'b32' },
  bf16x2: { prefix: 'r', declared: 'b32' },
  e4m3x4: { prefix: 'r', declared: 'b32' },
  f32: { prefix: 'f', declared: 'b32' },
  b64: { prefix: 'rd', declared: 'b64' },
  u64: { prefix: 'rd', declared: 'b64' },
  s64: { prefix: 'rd', declared: 'b64' },
};

// Names that PTX gives to special registers, or that unnamed registers get here.
const reserved =
  /^(?:(?:p|h|r|f|rd)\d+|n?tid|n?ctaid|laneid|n?warpid|n?smid|gridid|lanemask_.*|clock.*|pm\d.*|globaltimer.*|.*cluster.*|envreg.*|.*smem_size|reserved.*|current_graph_exec)$/;

/** The declarations of a kernel's registers, and the name of each. */
export interface RegisterNames {
  readonly declarations: readonly string[];
  readonly name: (reg: Reg) => string;
}

/**
 * Names all registers. They are declared by width only (bit registers fit instructions of every
 * type), so that reading bits as another type costs no move.
 */
export function nameRegisters(regs: readonly Reg[]): RegisterNames {
  const names = new Map<Reg, string>();
  const taken = new Set<string>();
  const counts = new Map<string, number>();
  const named = new Map<string, string[]>();
  for (const reg of regs) {
    const { prefix, declared } = classes[reg.type];
    if (reg.name === undefined) {
      const n = counts.get(prefix) ?? 0;
      counts.set(prefix, n + 1);
      names.set(reg, `%${prefix}${n}`);
      continue;
    }
    const plain = reg.name.replace(/\W/g, '_');
    let name = reserved.test(plain) ? `${plain}_` : plain;
    for (let n = 2; taken.has(name); n++) name = `${plain}_${n}`;
    taken.add(name);
    names.set(reg, `%${name}`);
    named.set(declared, [...(named.get(declared) ?? []), `%${name}`]);
  }
  const declarations: string[] = [];
  for (const [prefix, n] of counts) {
    const declared = Object.values(classes).find((c) => c.prefix === prefix)?.declared;
    declarations.push(`.reg .${declared} %${prefix}<${n}>;`);
  }
  for (const [declared, list] of named) {
    for (let i = 0; i < list.length; i += 8) {
      declarations.push(`.reg .${declared} ${list.slice(i, i + 8).join(', ')};`);
    }
  }
  return { declarations, name: (reg) => names.get(reg) ?? '%unnamed' };
}

const scratch = new DataView(new ArrayBuffer(8));

/** A constant as PTX writes it. */
export function immediate(arg: Extract<Arg, { imm: unknown }>): string {
  const { imm, type } = arg;
  if (type === 'f32') {
    scratch.setFloat32(0, Number(imm));
    return `0f${scratch.getUint32(0).toString(16).padStart(8, '0')}`;
  }
  if (type === 'b64' || type === 'u64' || type === 's64')
    return `${BigInt.asIntN(64, BigInt(imm))}`;
  if (type === 'b32' || type === 'b16') return `0x${(Number(imm) >>> 0).toString(16)}`;
  return type === 's32' ? `${imm}` : `${Number(imm) >>> 0}`;
}
