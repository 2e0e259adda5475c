import type { Kernel } from '../builder/kernel.ts';
import type { Location } from '../ir/location.ts';
import {
  type Arg,
  type Block,
  type IfNode,
  type InstrNode,
  type JumpNode,
  type LoopNode,
  type Node,
  type Program,
  type Reg,
  sharedSymbol,
} from '../ir/program.ts';
import { immediate, nameRegisters } from './names.ts';

/** Options of {@link emitPtx}. */
export interface EmitOptions {
  /** Comments that name the TypeScript line of the instructions below them; on by default. */
  readonly locations?: boolean;
}

/** Short branches without an else become predicated instructions, as the assembler would do. */
const maxPredicated = 4;

/**
 * Prints a kernel as a PTX module for one architecture.
 * @param target such as `sm_80` or `sm_90a`.
 * @throws UnsupportedInstructionError where the kernel uses what the target lacks.
 */
export function emitPtx(
  kernel: Pick<Kernel, 'program'>,
  target: string,
  options: EmitOptions = {},
): string {
  const { locations = true } = options;
  return new Emitter(kernel.program(target, locations), locations).module();
}

class Emitter {
  readonly #program: Program;
  readonly #locations: boolean;
  readonly #name: (reg: Reg) => string;
  readonly #declarations: readonly string[];
  readonly #lines: string[] = [];
  readonly #labels = new Map<number, string>();
  #depth = 1;
  #count = 0;
  #last: Location | undefined;

  constructor(program: Program, locations: boolean) {
    this.#program = program;
    this.#locations = locations;
    const { declarations, name } = nameRegisters(program.regs);
    this.#declarations = declarations;
    this.#name = name;
  }

  module(): string {
    const { name, target, block, params, sharedBytes, constants, requires } = this.#program;
    const { maxRegisters, minBlocksPerSm, body } = this.#program;
    const head = [
      `.version ${Math.floor(requires.ptx / 10)}.${requires.ptx % 10}`,
      `.target ${target.name}`,
      '.address_size 64',
      '',
    ];
    for (const { name: symbol, align, data } of constants) {
      head.push(`.const .align ${align} .b8 ${symbol}[${data.length}] = {${data.join(', ')}};`);
    }
    if (sharedBytes > 0) head.push(`.extern .shared .align 1024 .b8 ${sharedSymbol}[];`);
    const list = params.map(({ name: symbol, type, count, align, bytes }) =>
      count === 1
        ? `  .param .${type} ${symbol}`
        : `  .param .align ${align} .b8 ${symbol}[${bytes}]`,
    );
    head.push(
      `.visible .entry ${name}(`,
      ...list.map((p, i) => p + (i + 1 < list.length ? ',' : '')),
    );
    head.push(')', `.reqntid ${block.join(', ')}`);
    if (maxRegisters !== undefined) head.push(`.maxnreg ${maxRegisters}`);
    if (minBlocksPerSm !== undefined) head.push(`.minnctapersm ${minBlocksPerSm}`);
    this.#block(body);
    this.#line('ret;');
    const declared = this.#declarations.map((line) => `  ${line}`);
    return [...head, '{', ...declared, '', ...this.#lines, '}', ''].join('\n');
  }

  #block(block: Block): void {
    for (const node of block.nodes) this.#node(node);
  }

  #node(node: Node): void {
    switch (node.kind) {
      case 'comment':
        this.#line(`// ---- ${node.text}`);
        break;
      case 'instr':
        this.#instruction(node, '');
        break;
      case 'if':
        this.#if(node);
        break;
      case 'loop':
        this.#loop(node);
        break;
      case 'exit':
        this.#line('exit;');
        break;
      default:
        this.#jump(node);
    }
  }

  #instruction(node: InstrNode, guard: string): void {
    this.#location(node.location);
    const dst = node.dst.map(({ reg }) => this.#name(reg));
    const src = node.src.map((arg) => this.#operand(arg));
    const text = node.op.ptx(dst, src);
    this.#line(text.endsWith('}') && text.startsWith('{') ? text : `${guard}${text};`);
  }

  #operand(arg: Arg): string {
    return 'reg' in arg ? this.#name(arg.reg) : immediate(arg);
  }

  #if(node: IfNode): void {
    const cond = this.#name(node.cond);
    if (canPredicate(node)) {
      for (const inner of node.yes.nodes) {
        if (inner.kind === 'instr') this.#instruction(inner, `@${cond} `);
        else this.#node(inner);
      }
      return;
    }
    this.#location(node.location);
    const end = `$endif_${this.#count}`;
    const otherwise = `$else_${this.#count++}`;
    const hasElse = node.no.nodes.length > 0;
    const branch = node.uniform ? 'bra.uni' : 'bra';
    this.#line(`@!${cond} ${branch} ${hasElse ? otherwise : end};`);
    this.#indented(node.yes);
    if (hasElse) {
      this.#line(`bra.uni ${end};`);
      this.#label(otherwise);
      this.#indented(node.no);
    }
    this.#label(end);
  }

  #loop(node: LoopNode): void {
    const label = `$${node.label.replace(/\W/g, '_')}_${this.#count++}`;
    this.#labels.set(node.id, label);
    this.#label(label);
    // Has an effect only as the first statement of the loop's header block.
    if (!node.unroll) this.#line('.pragma "nounroll";');
    this.#indented(node.body);
    if (jumpsTo(node.body, 'continue', node.id)) this.#label(`${label}_next`);
    this.#indented(node.step);
    this.#line(`bra.uni ${label};`);
    this.#label(`${label}_end`);
  }

  #jump({ kind, loop, cond, negate, uniform, location }: JumpNode): void {
    this.#location(location);
    const label = `${this.#labels.get(loop)}${kind === 'break' ? '_end' : '_next'}`;
    const guard = cond === undefined ? '' : `@${negate ? '!' : ''}${this.#name(cond)} `;
    this.#line(`${guard}${cond === undefined || uniform ? 'bra.uni' : 'bra'} ${label};`);
  }

  #indented(block: Block): void {
    this.#depth++;
    this.#block(block);
    this.#depth--;
  }

  #label(name: string): void {
    this.#lines.push(`${name}:`);
    this.#last = undefined;
  }

  #location(location: Location): void {
    if (!this.#locations) return;
    if (location.file === this.#last?.file && location.line === this.#last.line) return;
    this.#last = location;
    this.#line(`// ${location.file}:${location.line}`);
  }

  #line(text: string): void {
    this.#lines.push('  '.repeat(this.#depth) + text);
  }
}

function canPredicate({ yes, no, cond }: IfNode): boolean {
  if (no.nodes.length > 0) return false;
  let instructions = 0;
  for (const node of yes.nodes) {
    if (node.kind === 'comment') continue;
    if (node.kind !== 'instr' || node.op.convergent || node.op.kind === 'shuffle') return false;
    if (node.op.blocking) return false;
    if (node.dst.some(({ reg }) => reg === cond)) return false;
    instructions++;
  }
  return instructions <= maxPredicated;
}

function jumpsTo(block: Block, kind: 'break' | 'continue', loop: number): boolean {
  return block.nodes.some((node) => {
    if (node.kind === 'if') return jumpsTo(node.yes, kind, loop) || jumpsTo(node.no, kind, loop);
    if (node.kind === 'loop') return jumpsTo(node.body, kind, loop);
    return node.kind === kind && node.loop === loop;
  });
}
