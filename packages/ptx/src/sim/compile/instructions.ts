import type { InstrNode, Reg } from '../../ir/program.ts';
import { type LaneContext, laneCode } from '../lanes.ts';
import type { Site, WarpOp } from '../machine.ts';
import type { MatrixUse, RegisterUse } from '../matrix-registers.ts';
import type { RegisterFile } from './register-file.ts';
import { heldBy, type Survey } from './survey.ts';

/**
 * Translates instructions: those that follow one another to a function, for which the JIT compiles them
 * together. `m` names the variable with the active lanes.
 */
export class Instructions {
  /** Functions so far, their text. */
  readonly functions: string[] = [];
  /** What is in each counted run. */
  readonly kinds: Record<string, number>[] = [];
  /** What the text calls and passes, by number. */
  readonly ops: WarpOp[] = [];
  readonly uses: (RegisterUse | MatrixUse)[] = [];
  readonly #survey: Survey;
  readonly #file: RegisterFile;

  constructor(survey: Survey, file: RegisterFile) {
    this.#survey = survey;
    this.#file = file;
  }

  /** A call of a function for instructions that follow one another. */
  chunk(nodes: readonly InstrNode[], m: string): string {
    const name = `chunk${this.functions.length}`;
    const lines = [this.#count(nodes, 'm')];
    for (let i = 0; i < nodes.length; ) {
      const node = nodes[i];
      if (node.op.lane === undefined) {
        const { checks, text } = this.#call(node, 'm');
        lines.push(...this.#accesses([node]), ...checks, `${text};`);
        i++;
        continue;
      }
      const run = this.#survey.runOf(node);
      let end = i + 1;
      while (end < nodes.length && this.#survey.runOf(nodes[end]) === run) end++;
      const lanes = nodes.slice(i, end);
      lines.push(...this.#accesses(lanes), laneCode(lanes, this.#context(run ?? -1)));
      i = end;
    }
    const body = lines.filter((line) => line !== '').join('\n');
    this.functions.push(`function ${name}(w, m) {\nconst I = w.I, F = w.F;\n${body}\n}`);
    return `${name}(w, ${m});`;
  }

  /** Statements for an instruction at which a warp may have to wait. */
  blocking(node: InstrNode, m: string): string[] {
    const count = this.#count([node], m);
    const { checks, text } = this.#call(node, m);
    const again = node.op.blocking === 'retry' ? 'while' : 'if';
    return [count, ...this.#accesses([node]), ...checks, `${again} (${text} === false) yield;`];
  }

  #count(nodes: readonly InstrNode[], m: string): string {
    const kinds: Record<string, number> = {};
    for (const { op } of nodes) kinds[op.kind] = (kinds[op.kind] ?? 0) + 1;
    const counter = this.kinds.push(kinds) - 1;
    return `issued[${counter}]++; lanes[${counter}] += popcount(${m});`;
  }

  #context(run: number): LaneContext {
    return {
      offset: (reg) => this.#file.offset(reg),
      escapes: (reg) => this.#survey.escapes(reg, run),
      setMask: (reg) => this.#file.setMask(reg),
      siteOf: (node) => this.#survey.siteOf(node),
    };
  }

  /** The call of a warp-wide instruction, and the checks before it. */
  #call(node: InstrNode, m: string): { checks: string[]; text: string } {
    const { op, dst, src } = node;
    const file = this.#file;
    const index = this.#survey.siteOf(node);
    const site: Site = {
      index,
      d: dst.map(({ reg }) => file.offset(reg)),
      s: src.map((arg) => ('reg' in arg ? file.offset(arg.reg) : file.constant(arg))),
    };
    const make = op.warp;
    if (make === undefined) throw new Error(`instruction ${op.name} has no simulated meaning`);
    const number = this.ops.push(make(site)) - 1;
    const checks: string[] = [];
    const readIf = op.holds?.readIf ?? src.length;
    src.forEach((arg, i) => {
      const mask = 'reg' in arg ? file.setMask(arg.reg) : undefined;
      if (mask === undefined) return;
      const read = i > readIf ? `I[${site.s[readIf]}] !== 0 && ` : '';
      checks.push(
        `if (${read}(I[${mask}] & ${m}) !== ${m}) unset(w, ${index}, ${m} & ~I[${mask}]);`,
      );
    });
    if (op.convergent) {
      const all = op.kind === 'matrix' ? '-1' : 'w.live';
      checks.push(`if (${m} !== ${all}) diverged(w, ${index}, ${m}, false);`);
    }
    for (const { reg } of dst) {
      const mask = file.setMask(reg);
      if (mask !== undefined) checks.push(`I[${mask}] |= ${m};`);
    }
    return { checks, text: `ops[${number}](w, ${m})` };
  }

  /** Tells the warp which of the registers that matrix instructions use are accessed next. */
  #accesses(nodes: readonly InstrNode[]): string[] {
    const survey = this.#survey;
    if (survey.heldRegisters === 0) return [];
    const [first] = nodes;
    if (first.op.holds !== undefined) {
      const numbers = (regs: readonly Reg[]) => regs.map((reg) => survey.heldNumber(reg) ?? 0);
      const use = {
        site: survey.siteOf(first),
        accumulators: numbers(first.dst.map(({ reg }) => reg)),
        fragments: numbers(heldBy(first).slice(first.dst.length)),
        shape: first.op.holds.shape,
      };
      return [`w.takeRegisters(uses[${this.uses.push(use) - 1}]);`];
    }
    const use = { registers: [] as number[], written: [] as boolean[], sites: [] as number[] };
    const note = (node: InstrNode, reg: Reg, written: boolean) => {
      const number = survey.heldNumber(reg);
      if (number === undefined) return;
      use.registers.push(number);
      use.written.push(written);
      use.sites.push(survey.siteOf(node));
    };
    for (const node of nodes) {
      for (const input of node.src) if ('reg' in input) note(node, input.reg, false);
      for (const { reg } of node.dst) note(node, reg, true);
    }
    if (use.registers.length === 0) return [];
    return [`w.accessRegisters(uses[${this.uses.push(use) - 1}]);`];
  }
}
