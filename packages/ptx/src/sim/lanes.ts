import type { LaneReg } from '../ir/instruction.ts';
import type { Arg, InstrNode, Reg } from '../ir/program.ts';
import type { RegType } from '../ir/types.ts';

/** How a register's content appears in generated code. */
type Form = 'int' | 'float' | 'wide' | 'pred';

function formOf(type: RegType): Form {
  if (type === 'f32') return 'float';
  if (type === 'pred') return 'pred';
  return type === 'b64' || type === 'u64' || type === 's64' ? 'wide' : 'int';
}

/** What the generator of lane code needs to know about the program around it. */
export interface LaneContext {
  /** Place in the register file. */
  offset(reg: Reg): number;
  /** Whether the register is read anywhere but in this run of lane instructions. */
  escapes(reg: Reg): boolean;
  /** Place of the mask of lanes that have set the variable; undefined if it is always set. */
  setMask(reg: Reg): number | undefined;
  /** Number of an instruction for error messages. */
  siteOf(node: InstrNode): number;
}

interface Local {
  readonly name: string;
  readonly form: Form;
}

const scratch = new DataView(new ArrayBuffer(4));

/** The pattern of an f32 constant. */
export function f32Pattern(x: number): number {
  scratch.setFloat32(0, x);
  return scratch.getInt32(0);
}

function number(x: number): string {
  const rounded = Math.fround(x);
  return Object.is(rounded, -0) ? '-0' : `${rounded}`;
}

/**
 * JavaScript for a run of instructions that work lane by lane: one loop over the lanes, in which
 * values live in local variables. What later code reads is stored to the register file.
 */
export function laneCode(nodes: readonly InstrNode[], context: LaneContext): string {
  return new LaneWriter(context).write(nodes);
}

class LaneWriter {
  readonly #context: LaneContext;
  readonly #locals = new Map<Reg, Local>();
  readonly #declared: string[] = [];
  readonly #predicates = new Map<Reg, { readonly name: string; written: boolean }>();
  readonly #checks: string[] = [];
  readonly #set = new Set<Reg>();
  #count = 0;

  constructor(context: LaneContext) {
    this.#context = context;
  }

  write(nodes: readonly InstrNode[]): string {
    const body = nodes.map((node) => this.#instruction(node)).filter((text) => text !== '');
    const hoisted: string[] = [];
    const after: string[] = [];
    for (const [reg, { name, written }] of this.#predicates) {
      hoisted.push(`let ${name} = I[${this.#context.offset(reg)}];`);
      if (written) after.push(`I[${this.#context.offset(reg)}] = ${name};`);
    }
    for (const reg of this.#set) {
      const mask = this.#context.setMask(reg);
      if (mask !== undefined) after.push(`I[${mask}] |= m;`);
    }
    if (body.length === 0) return '';
    const locals = this.#declared.length > 0 ? [`let ${this.#declared.join(', ')};`] : [];
    return [
      '{',
      ...this.#checks,
      ...hoisted,
      'for (let l = 0; l < 32; l++) {',
      'if (((m >>> l) & 1) === 0) continue;',
      ...locals,
      ...body,
      '}',
      ...after,
      '}',
    ].join('\n');
  }

  #instruction(node: InstrNode): string {
    const { lane } = node.op;
    if (lane === undefined) return '';
    const site = this.#context.siteOf(node);
    const src = node.src.map((arg) => this.#input(arg, site));
    const outputs = node.dst.map(({ type }) => this.#output(type));
    const text = lane(
      outputs.map(({ reg }) => reg),
      src,
    );
    const stores = node.dst.map(({ reg }, i) => this.#store(reg, outputs[i].local));
    return [text.replaceAll('$fault(', `fault(w, ${site}, l, `), ...stores].join(' ').trim();
  }

  #input(arg: Arg, site: number): LaneReg {
    if ('imm' in arg) return constant(arg.imm, arg.type);
    const form = formOf(arg.type);
    const local = this.#locals.get(arg.reg);
    if (local === undefined) {
      const mask = this.#context.setMask(arg.reg);
      if (mask !== undefined && !this.#set.has(arg.reg)) {
        this.#checks.push(`if ((I[${mask}] & m) !== m) unset(w, ${site}, m & ~I[${mask}]);`);
      }
      return this.#slot(arg.reg, form);
    }
    const { name } = local;
    if (form === 'wide') return { v: '', lo: `${name}l`, hi: `${name}h`, bits: '' };
    if (form === 'float') {
      const v = local.form === 'float' ? name : `float(${name})`;
      return { v, lo: '', hi: '', bits: local.form === 'float' ? `bits(${name})` : name };
    }
    const v = local.form === 'float' ? `bits(${name})` : name;
    return { v, lo: '', hi: '', bits: v };
  }

  #slot(reg: Reg, form: Form): LaneReg {
    const at = this.#context.offset(reg);
    if (form === 'wide') return { v: '', lo: `I[${at} + l]`, hi: `I[${at + 32} + l]`, bits: '' };
    if (form === 'pred') {
      const v = `((${this.#predicate(reg).name} >>> l) & 1)`;
      return { v, lo: '', hi: '', bits: v };
    }
    const bits = `I[${at} + l]`;
    return { v: form === 'float' ? `F[${at} + l]` : bits, lo: '', hi: '', bits };
  }

  #predicate(reg: Reg) {
    let known = this.#predicates.get(reg);
    if (known === undefined) {
      known = { name: `p${this.#predicates.size}`, written: false };
      this.#predicates.set(reg, known);
    }
    return known;
  }

  #output(type: RegType): { reg: LaneReg; local: Local } {
    const form = formOf(type);
    const name = `v${this.#count++}`;
    if (form === 'wide') {
      this.#declared.push(`${name}l = 0`, `${name}h = 0`);
      return { reg: { v: '', lo: `${name}l`, hi: `${name}h`, bits: '' }, local: { name, form } };
    }
    this.#declared.push(`${name} = 0`);
    return { reg: { v: name, lo: '', hi: '', bits: name }, local: { name, form } };
  }

  #store(reg: Reg, local: Local): string {
    this.#locals.set(reg, local);
    if (reg.maybeUnset) this.#set.add(reg);
    if (!reg.mutable && !this.#context.escapes(reg)) return '';
    const { name, form } = local;
    if (form === 'pred') {
      const predicate = this.#predicate(reg);
      predicate.written = true;
      return `${predicate.name} = (${predicate.name} & ~(1 << l)) | (${name} << l);`;
    }
    const at = this.#context.offset(reg);
    if (form === 'wide') return `I[${at} + l] = ${name}l; I[${at + 32} + l] = ${name}h;`;
    if (form === 'int') return `I[${at} + l] = ${name};`;
    // Arithmetic gives one NaN pattern, which is not the one of JavaScript.
    return `F[${at} + l] = ${name}; if (${name} !== ${name}) I[${at} + l] = 0x7fffffff;`;
  }
}

function constant(imm: number | bigint, type: RegType): LaneReg {
  if (type === 'f32') {
    const x = Number(imm);
    return { v: number(x), lo: '', hi: '', bits: `${f32Pattern(x)}` };
  }
  if (formOf(type) === 'wide') {
    const [lo, hi] = halves(imm);
    return { v: '', lo: `${lo}`, hi: `${hi}`, bits: '' };
  }
  const v = `${Number(BigInt.asIntN(32, BigInt(imm)))}`;
  return { v, lo: '', hi: '', bits: v };
}

/** Low and high word of a 64-bit constant, signed. */
export function halves(imm: number | bigint): [number, number] {
  const big = BigInt(imm);
  return [Number(BigInt.asIntN(32, big)), Number(BigInt.asIntN(32, big >> 32n))];
}
