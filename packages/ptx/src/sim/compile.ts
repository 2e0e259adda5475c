import type { Location } from '../ir/location.ts';
import type {
  Arg,
  Block,
  InstrNode,
  JumpNode,
  LoopNode,
  Node,
  Program,
  Reg,
} from '../ir/program.ts';
import { f32Pattern, halves, type LaneContext, laneCode } from './lanes.ts';
import type { Site, WarpOp } from './machine.ts';
import type { MatrixUse, RegisterUse } from './matrix-registers.ts';
import * as float from './numerics/float.ts';
import * as fma from './numerics/fma.ts';
import * as integer from './numerics/integer.ts';
import { assignSlots, type Slots } from './slots.ts';
import type { SimWarp } from './warp.ts';

/** A place in the program, for messages. */
export interface SiteInfo {
  readonly location: Location;
  readonly name: string;
}

/** How often a run of instructions was executed, and what is in it. */
export interface RunCount {
  readonly kinds: Readonly<Record<string, number>>;
  /** Times a warp ran it. */
  readonly issued: number;
  /** Lanes that took part, added up. */
  readonly lanes: number;
}

/** A program translated to JavaScript. */
export interface Compiled {
  readonly program: Program;
  /** Whether anything in it reads or writes memory behind the threads' backs, or in other CTAs. */
  readonly asynchronous: boolean;
  /** Where an instruction comes from. */
  site(index: number): SiteInfo;
  /** Size of a warp's register file in words. */
  readonly fileWords: number;
  /** Registers that hold constants. */
  readonly constants: readonly { readonly offset: number; readonly words: readonly number[] }[];
  /** Places of the masks of lanes that have set a variable. */
  readonly unsetMasks: readonly number[];
  /** Registers that matrix instructions use behind the threads' backs. */
  readonly matrixRegisters: number;
  run(warp: SimWarp): Generator<undefined, void>;
  /** Gives the counts since the last call. */
  takeCounts(): RunCount[];
}

/** Lane instructions per loop, and instructions per function: what the JIT still optimises well. */
const maxRun = 48;
const maxChunk = 160;

/** Instructions that need the bookkeeping of copies, proxies and clusters. */
const behindThreads =
  /^(mbarrier|cp\.async\.bulk|cp\.reduce|st\.async|mapa|barrier\.cluster|fence\.proxy|wgmma)/;

const cache = new WeakMap<Program, Compiled>();

/**
 * Translates a program; at most once. `located` gives the same program with the lines of its
 * instructions, which are looked up only when something goes wrong.
 */
export function compile(program: Program, located: () => Program): Compiled {
  let compiled = cache.get(program);
  if (compiled === undefined) {
    compiled = new Compiler(program).compile(located);
    cache.set(program, compiled);
  }
  return compiled;
}

class Compiler {
  readonly #program: Program;
  readonly #slots: Slots;
  readonly #sites: SiteInfo[] = [];
  readonly #siteNumbers = new Map<InstrNode, number>();
  readonly #ops: WarpOp[] = [];
  readonly #constants: { offset: number; words: number[] }[] = [];
  readonly #constantPlaces = new Map<string, number>();
  readonly #setMasks = new Map<Reg, number>();
  /** Run in which each register is read: −1 where more than one or no lane code. */
  readonly #readers = new Map<Reg, number>();
  readonly #runs = new Map<InstrNode, number>();
  /** Numbers of the registers that matrix instructions use behind the threads' backs. */
  readonly #held = new Map<Reg, number>();
  readonly #uses: (RegisterUse | MatrixUse)[] = [];
  readonly #functions: string[] = [];
  readonly #main: string[] = [];
  readonly #kinds: Record<string, number>[] = [];
  #words: number;
  #names = 0;
  #asynchronous = false;

  constructor(program: Program) {
    this.#program = program;
    this.#slots = assignSlots(program);
    this.#words = this.#slots.words;
  }

  compile(located: () => Program): Compiled {
    this.#translate();
    const issued = new Float64Array(this.#kinds.length);
    const lanes = new Float64Array(this.#kinds.length);
    const helpers = { ...integer, ...float, ...fma, fault, unset, diverged };
    const names = Object.keys(helpers);
    const uses = this.#uses;
    const source = [
      `const { ${names.join(', ')} } = helpers;`,
      ...this.#functions,
      'return function* run(w) {',
      'const I = w.I; let m = w.live;',
      ...this.#main,
      '};',
    ].join('\n');
    const make = new Function('helpers', 'ops', 'uses', 'issued', 'lanes', source) as (
      ...args: unknown[]
    ) => Compiled['run'];
    const run = make(helpers, this.#ops, uses, issued, lanes);
    const kinds = this.#kinds;
    return {
      program: this.#program,
      asynchronous: this.#asynchronous,
      site: (index) => new Compiler(located()).sites()[index],
      fileWords: this.#words,
      constants: this.#constants,
      unsetMasks: [...this.#setMasks.values()],
      matrixRegisters: this.#held.size,
      run,
      takeCounts: () => {
        const counts = kinds.map((k, i) => ({ kinds: k, issued: issued[i], lanes: lanes[i] }));
        issued.fill(0);
        lanes.fill(0);
        return counts;
      },
    };
  }

  /** The places of all instructions and branches, numbered as the translation numbers them. */
  sites(): readonly SiteInfo[] {
    this.#translate();
    return this.#sites;
  }

  #translate(): void {
    for (const reg of this.#program.regs) {
      if (reg.maybeUnset) {
        this.#setMasks.set(reg, this.#words);
        this.#words += 32;
      }
    }
    this.#number(this.#program.body, { run: 0 });
    this.#block(this.#program.body, 'm', []);
  }

  /** Numbers instructions and runs of lane code, and notes who reads what. */
  #number(block: Block, state: { run: number }): void {
    const read = (reg: Reg, run: number) => {
      const known = this.#readers.get(reg);
      this.#readers.set(reg, known === undefined || known === run ? run : -1);
    };
    let length = 0;
    state.run++;
    for (const node of block.nodes) {
      if (node.kind === 'comment') continue;
      if (node.kind === 'instr') {
        if (behindThreads.test(node.op.name)) this.#asynchronous = true;
        for (const reg of heldBy(node)) {
          if (!this.#held.has(reg)) this.#held.set(reg, this.#held.size);
        }
        this.#siteNumbers.set(node, this.#site(node.op.name, node.location));
        const isLane = node.op.lane !== undefined;
        if (!isLane || ++length > maxRun) {
          state.run++;
          length = isLane ? 1 : 0;
        }
        this.#runs.set(node, isLane ? state.run : -1);
        for (const arg of node.src) if ('reg' in arg) read(arg.reg, isLane ? state.run : -1);
        continue;
      }
      if (node.kind === 'if') {
        read(node.cond, -1);
        this.#number(node.yes, state);
        this.#number(node.no, state);
      } else if (node.kind === 'loop') {
        this.#number(node.body, state);
        this.#number(node.step, state);
      } else if (node.kind !== 'exit' && node.cond !== undefined) {
        read(node.cond, -1);
      }
      state.run++;
      length = 0;
    }
  }

  #site(name: string, location: Location): number {
    return this.#sites.push({ name, location }) - 1;
  }

  /** Statements of a block; `m` names the variable with the active lanes. */
  #block(block: Block, m: string, loops: readonly number[]): void {
    const label = `B${this.#names++}`;
    const out = this.#main;
    out.push(`${label}: {`);
    let pending: InstrNode[] = [];
    const flush = () => {
      if (pending.length > 0) this.#chunk(pending, m);
      pending = [];
    };
    block.nodes.forEach((node, i) => {
      if (node.kind === 'comment') return;
      if (node.kind === 'instr') {
        if (node.op.blocking) {
          flush();
          this.#blocking(node, m);
        } else {
          // Values of a run live in local variables: a function ends only between runs.
          const run = this.#runs.get(node);
          const within = run !== -1 && run === this.#runs.get(pending[pending.length - 1]);
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
    const out = this.#main;
    switch (node.kind) {
      case 'if': {
        const cond = this.#condition(node.cond, node.location, m);
        const yes = `m${this.#names++}`;
        const no = `m${this.#names++}`;
        out.push(`{ let ${yes} = ${m} & ${cond}, ${no} = ${m} & ~${cond};`);
        if (node.uniform) {
          const site = this.#site('bra', node.location);
          out.push(`if (${yes} !== 0 && ${no} !== 0) diverged(w, ${site}, ${yes}, true);`);
        }
        out.push(`if (${yes} !== 0)`);
        this.#block(node.yes, yes, loops);
        if (node.no.nodes.length > 0) {
          out.push(`if (${no} !== 0)`);
          this.#block(node.no, no, loops);
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
    const out = this.#main;
    const { id } = node;
    const lanes = `m${this.#names++}`;
    const inner = [...loops, id];
    out.push(`{ let b${id} = 0, c${id} = 0, s${id} = ${m};`, 'for (;;) {');
    out.push(`let ${lanes} = s${id};`);
    this.#block(node.body, lanes, inner);
    // Lanes that went on to the next round come back here.
    out.push(`c${id} = 0; ${lanes} = s${id} & ${alive(inner)};`, `if (${lanes} === 0) break;`);
    this.#block(node.step, lanes, inner);
    out.push(`s${id} = ${lanes};`);
    out.push(polls(node.body) ? 'if (w.poll()) yield;' : 'w.round();');
    out.push('} }');
  }

  #jump(node: JumpNode, m: string): void {
    const { kind, loop, cond, negate, uniform, location } = node;
    const out = this.#main;
    const set = `${kind === 'break' ? 'b' : 'c'}${loop}`;
    if (cond === undefined) {
      out.push(`${set} |= ${m};`);
      return;
    }
    const name = this.#condition(cond, location, m);
    const lanes = `${m} & ${negate ? '~' : ''}${name}`;
    if (uniform) {
      const site = this.#site('bra', location);
      out.push(
        `if ((${lanes}) !== 0 && (${lanes}) !== ${m}) diverged(w, ${site}, ${lanes}, true);`,
      );
    }
    out.push(`${set} |= ${lanes};`);
  }

  /** The predicate's lanes as an expression; checks that it was set. */
  #condition(cond: Reg, location: Location, m: string): string {
    const mask = this.#setMasks.get(cond);
    if (mask !== undefined) {
      const site = this.#site('bra', location);
      this.#main.push(`if ((I[${mask}] & ${m}) !== ${m}) unset(w, ${site}, ${m} & ~I[${mask}]);`);
    }
    return `I[${this.#slots.offset(cond)}]`;
  }

  #blocking(node: InstrNode, m: string): void {
    const counter = this.#counter([node]);
    this.#main.push(`issued[${counter}]++; lanes[${counter}] += popcount(${m});`);
    const call = this.#call(node, m);
    this.#main.push(
      ...this.#accesses([node]),
      ...call.checks,
      `${node.op.blocking === 'retry' ? 'while' : 'if'} (${call.text} === false) yield;`,
    );
  }

  /** A function for instructions that follow one another. */
  #chunk(nodes: readonly InstrNode[], m: string): void {
    const name = `chunk${this.#functions.length}`;
    const counter = this.#counter(nodes);
    const lines = [`issued[${counter}]++; lanes[${counter}] += popcount(m);`];
    for (let i = 0; i < nodes.length; ) {
      const node = nodes[i];
      if (node.op.lane === undefined) {
        const { checks, text } = this.#call(node, 'm');
        lines.push(...this.#accesses([node]), ...checks, `${text};`);
        i++;
        continue;
      }
      const run = this.#runs.get(node);
      let end = i + 1;
      while (end < nodes.length && this.#runs.get(nodes[end]) === run) end++;
      const lanes = nodes.slice(i, end);
      lines.push(...this.#accesses(lanes), laneCode(lanes, this.#context(run ?? -1)));
      i = end;
    }
    const body = lines.filter((line) => line !== '').join('\n');
    this.#functions.push(`function ${name}(w, m) {\nconst I = w.I, F = w.F;\n${body}\n}`);
    this.#main.push(`${name}(w, ${m});`);
  }

  /** Tells the warp which of the registers that matrix instructions use are accessed next. */
  #accesses(nodes: readonly InstrNode[]): string[] {
    if (this.#held.size === 0) return [];
    const [first] = nodes;
    const { holds } = first.op;
    const numbers = (regs: readonly Reg[]) => regs.map((reg) => this.#held.get(reg) ?? 0);
    const site = (node: InstrNode) => this.#siteNumbers.get(node) ?? 0;
    if (holds !== undefined) {
      const use = {
        site: site(first),
        accumulators: numbers(first.dst.map(({ reg }) => reg)),
        fragments: numbers(heldBy(first).slice(first.dst.length)),
        shape: holds.shape,
      };
      return [`w.takeRegisters(uses[${this.#uses.push(use) - 1}]);`];
    }
    const use = { registers: [] as number[], written: [] as boolean[], sites: [] as number[] };
    const note = (node: InstrNode, reg: Reg, written: boolean) => {
      const number = this.#held.get(reg);
      if (number === undefined) return;
      use.registers.push(number);
      use.written.push(written);
      use.sites.push(site(node));
    };
    for (const node of nodes) {
      for (const input of node.src) if ('reg' in input) note(node, input.reg, false);
      for (const { reg } of node.dst) note(node, reg, true);
    }
    if (use.registers.length === 0) return [];
    return [`w.accessRegisters(uses[${this.#uses.push(use) - 1}]);`];
  }

  #counter(nodes: readonly InstrNode[]): number {
    const kinds: Record<string, number> = {};
    for (const { op } of nodes) kinds[op.kind] = (kinds[op.kind] ?? 0) + 1;
    return this.#kinds.push(kinds) - 1;
  }

  #context(run: number): LaneContext {
    return {
      offset: (reg) => this.#slots.offset(reg),
      escapes: (reg) => this.#readers.has(reg) && this.#readers.get(reg) !== run,
      setMask: (reg) => this.#setMasks.get(reg),
      siteOf: (node) => this.#siteNumbers.get(node) ?? 0,
    };
  }

  /** The call of a warp-wide instruction, and the checks before it. */
  #call(node: InstrNode, m: string): { checks: string[]; text: string } {
    const { op, dst, src } = node;
    const index = this.#siteNumbers.get(node) ?? 0;
    const site: Site = {
      index,
      d: dst.map(({ reg }) => this.#slots.offset(reg)),
      s: src.map((arg) => ('reg' in arg ? this.#slots.offset(arg.reg) : this.#constant(arg))),
    };
    const make = op.warp;
    if (make === undefined) throw new Error(`instruction ${op.name} has no simulated meaning`);
    const number = this.#ops.push(make(site)) - 1;
    const checks: string[] = [];
    const readIf = op.holds?.readIf ?? src.length;
    src.forEach((arg, i) => {
      const mask = 'reg' in arg ? this.#setMasks.get(arg.reg) : undefined;
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
      const mask = this.#setMasks.get(reg);
      if (mask !== undefined) checks.push(`I[${mask}] |= ${m};`);
    }
    return { checks, text: `ops[${number}](w, ${m})` };
  }

  /** A register that holds a constant in all lanes. */
  #constant(arg: Extract<Arg, { imm: unknown }>): number {
    const { imm, type } = arg;
    const wide = type === 'b64' || type === 'u64' || type === 's64';
    const words = wide
      ? halves(imm)
      : [type === 'f32' ? f32Pattern(Number(imm)) : Number(BigInt.asIntN(32, BigInt(imm)))];
    const key = words.join();
    let offset = this.#constantPlaces.get(key);
    if (offset === undefined) {
      offset = this.#words;
      this.#words += 32 * words.length;
      this.#constantPlaces.set(key, offset);
      this.#constants.push({ offset, words });
    }
    return offset;
  }
}

/** Registers that an instruction goes on using after it was issued: outputs, then inputs. */
function heldBy({ op, dst, src }: InstrNode): Reg[] {
  if (op.holds === undefined) return [];
  const inputs = src.slice(0, op.holds.fragments);
  return [
    ...dst.map(({ reg }) => reg),
    ...inputs.flatMap((arg) => ('reg' in arg ? [arg.reg] : [])),
  ];
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

const lowest = (mask: number): number => 31 - Math.clz32(mask & -mask);

function fault(
  w: SimWarp,
  index: number,
  lane: number,
  kind: 'division by zero',
  problem: string,
): never {
  return w.fault(kind, { d: [], s: [], index }, problem, lane);
}

function unset(w: SimWarp, index: number, lanes: number): never {
  const problem = 'reads a variable that was never set on this path';
  return w.fault('uninitialised read', { d: [], s: [], index }, problem, lowest(lanes));
}

function diverged(w: SimWarp, index: number, lanes: number, uniform: boolean): never {
  const mask = `0x${(lanes >>> 0).toString(16)}`;
  const problem = uniform
    ? `the branch is declared uniform, but only the lanes ${mask} take it`
    : `needs all lanes of the warp together, but only ${mask} are here`;
  return w.fault('divergence', { d: [], s: [], index }, problem, lowest(~lanes));
}
