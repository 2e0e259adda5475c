import type { Location } from '../../ir/location.ts';
import type { Block, InstrNode, JumpNode, LoopNode, Node, Reg } from '../../ir/program.ts';
import type { Instructions } from './instructions.ts';
import type { RegisterFile } from './register-file.ts';
import type { Survey } from './survey.ts';

/** Instructions per function: what the JIT still optimises well. */
const maxChunk = 160;

/**
 * Translates blocks, branches and loops. A warp's lanes go through the code together, as a mask: a branch
 * splits it in two, a loop goes on while any lane does, and lanes that leave are taken out of it.
 */
export class ControlFlow {
  /** Statements so far. */
  readonly statements: string[] = [];
  readonly #survey: Survey;
  readonly #file: RegisterFile;
  readonly #instructions: Instructions;
  #names = 0;

  constructor(survey: Survey, file: RegisterFile, instructions: Instructions) {
    this.#survey = survey;
    this.#file = file;
    this.#instructions = instructions;
  }

  /** A block; `m` names the variable with the active lanes, `loops` those around it. */
  block(block: Block, m: string, loops: readonly number[]): void {
    const label = `B${this.#names++}`;
    const out = this.statements;
    out.push(`${label}: {`);
    let pending: InstrNode[] = [];
    const flush = () => {
      if (pending.length > 0) out.push(this.#instructions.chunk(pending, m));
      pending = [];
    };
    block.nodes.forEach((node, i) => {
      if (node.kind === 'comment') return;
      if (node.kind === 'instr') {
        if (node.op.blocking) {
          flush();
          out.push(...this.#instructions.blocking(node, m));
        } else {
          // Values of a run live in local variables: a function ends only between runs.
          const run = this.#survey.runOf(node);
          const within = run !== -1 && run === this.#survey.runOf(pending[pending.length - 1]);
          if (pending.length >= maxChunk && !within) flush();
          pending.push(node);
        }
        return;
      }
      flush();
      this.#control(node, m, loops);
      if (removesLanes(node)) {
        out.push(`${m} &= ${alive(loops)};`);
        if (i + 1 < block.nodes.length) out.push(`if (${m} === 0) break ${label};`);
      }
    });
    flush();
    out.push('}');
  }

  #control(node: Exclude<Node, InstrNode>, m: string, loops: readonly number[]): void {
    const out = this.statements;
    switch (node.kind) {
      case 'if': {
        const cond = this.#condition(node.cond, node.location, m);
        const yes = `m${this.#names++}`;
        const no = `m${this.#names++}`;
        out.push(`{ let ${yes} = ${m} & ${cond}, ${no} = ${m} & ~${cond};`);
        if (node.uniform) {
          const site = this.#survey.site('bra', node.location);
          out.push(`if (${yes} !== 0 && ${no} !== 0) diverged(w, ${site}, ${yes}, true);`);
        }
        out.push(`if (${yes} !== 0)`);
        this.block(node.yes, yes, loops);
        if (node.no.nodes.length > 0) {
          out.push(`if (${no} !== 0)`);
          this.block(node.no, no, loops);
        }
        out.push('}');
        break;
      }
      case 'loop':
        this.#loop(node, m, loops);
        break;
      case 'exit':
        out.push(`w.exit(${m});`);
        break;
      case 'comment':
        break;
      default:
        this.#jump(node, m);
    }
  }

  #loop(node: LoopNode, m: string, loops: readonly number[]): void {
    const out = this.statements;
    const { id } = node;
    const lanes = `m${this.#names++}`;
    const inner = [...loops, id];
    out.push(`{ let b${id} = 0, c${id} = 0, s${id} = ${m};`, 'for (;;) {');
    out.push(`let ${lanes} = s${id};`);
    this.block(node.body, lanes, inner);
    // Lanes that went on to the next round come back here.
    out.push(`c${id} = 0; ${lanes} = s${id} & ${alive(inner)};`, `if (${lanes} === 0) break;`);
    this.block(node.step, lanes, inner);
    out.push(`s${id} = ${lanes};`);
    out.push(polls(node.body) ? 'if (w.poll()) yield;' : 'w.round();');
    out.push('} }');
  }

  #jump(node: JumpNode, m: string): void {
    const { kind, loop, cond, negate, uniform, location } = node;
    const out = this.statements;
    const set = `${kind === 'break' ? 'b' : 'c'}${loop}`;
    if (cond === undefined) {
      out.push(`${set} |= ${m};`);
      return;
    }
    const name = this.#condition(cond, location, m);
    const lanes = `${m} & ${negate ? '~' : ''}${name}`;
    if (uniform) {
      const site = this.#survey.site('bra', location);
      out.push(
        `if ((${lanes}) !== 0 && (${lanes}) !== ${m}) diverged(w, ${site}, ${lanes}, true);`,
      );
    }
    out.push(`${set} |= ${lanes};`);
  }

  /** The predicate's lanes as an expression; checks that it was set. */
  #condition(cond: Reg, location: Location, m: string): string {
    const mask = this.#file.setMask(cond);
    if (mask !== undefined) {
      const site = this.#survey.site('bra', location);
      const missing = `${m} & ~I[${mask}]`;
      this.statements.push(`if ((I[${mask}] & ${m}) !== ${m}) unset(w, ${site}, ${missing});`);
    }
    return `I[${this.#file.offset(cond)}]`;
  }
}

/** Lanes that still run in all these loops. */
function alive(loops: readonly number[]): string {
  return ['w.live', ...loops.map((id) => `~(b${id} | c${id})`)].join(' & ');
}

function removesLanes(node: Node): boolean {
  if (node.kind === 'if')
    return node.yes.nodes.some(removesLanes) || node.no.nodes.some(removesLanes);
  if (node.kind === 'loop') return node.body.nodes.some(removesLanes);
  return node.kind === 'exit' || node.kind === 'break' || node.kind === 'continue';
}

function polls(block: Block): boolean {
  return block.nodes.some((node) => {
    if (node.kind === 'instr') return node.op.polls;
    if (node.kind === 'if') return polls(node.yes) || polls(node.no);
    return node.kind === 'loop' && polls(node.body);
  });
}
