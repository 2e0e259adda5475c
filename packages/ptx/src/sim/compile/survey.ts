import type { Location } from '../../ir/location.ts';
import type { Block, InstrNode, Program, Reg } from '../../ir/program.ts';
import type { SiteInfo } from './compiled.ts';

/** Lane instructions per loop: what the JIT still optimises well. */
const maxRun = 48;

/** Instructions that need the bookkeeping of copies, proxies and clusters. */
const behindThreads =
  /^(mbarrier|cp\.async\.bulk|cp\.reduce|st\.async|mapa|barrier\.cluster|fence\.proxy|wgmma)/;

/**
 * What translation must know of a program beforehand: numbers of its instructions, runs of lane
 * instructions, which share a loop over lanes, and who reads what.
 */
export class Survey {
  readonly sites: SiteInfo[] = [];
  readonly #siteNumbers = new Map<InstrNode, number>();
  readonly #runs = new Map<InstrNode, number>();
  /** Run in which each register is read: −1 where more than one or no lane code. */
  readonly #readers = new Map<Reg, number>();
  /** Numbers of the registers that matrix instructions use behind the threads' backs. */
  readonly #held = new Map<Reg, number>();
  #run = 0;
  #asynchronous = false;

  constructor(program: Program) {
    this.#visit(program.body);
  }

  get asynchronous(): boolean {
    return this.#asynchronous;
  }

  get heldRegisters(): number {
    return this.#held.size;
  }

  /** Adds a place and numbers it. */
  site(name: string, location: Location): number {
    return this.sites.push({ name, location }) - 1;
  }

  siteOf(node: InstrNode): number {
    return this.#siteNumbers.get(node) ?? 0;
  }

  /** Runs are numbered from 1; −1: not lane code. */
  runOf(node: InstrNode | undefined): number | undefined {
    return node && this.#runs.get(node);
  }

  /** Whether a register is read outside a run. */
  escapes(reg: Reg, run: number): boolean {
    return this.#readers.has(reg) && this.#readers.get(reg) !== run;
  }

  /** The number of a register that matrix instructions use behind the threads' backs. */
  heldNumber(reg: Reg): number | undefined {
    return this.#held.get(reg);
  }

  #visit(block: Block): void {
    let length = 0;
    this.#run++;
    for (const node of block.nodes) {
      if (node.kind === 'comment') continue;
      if (node.kind === 'instr') {
        const isLane = node.op.lane !== undefined;
        if (!isLane || ++length > maxRun) {
          this.#run++;
          length = isLane ? 1 : 0;
        }
        this.#note(node, isLane ? this.#run : -1);
        continue;
      }
      if (node.kind === 'if') {
        this.#read(node.cond, -1);
        this.#visit(node.yes);
        this.#visit(node.no);
      } else if (node.kind === 'loop') {
        this.#visit(node.body);
        this.#visit(node.step);
      } else if (node.kind !== 'exit' && node.cond !== undefined) {
        this.#read(node.cond, -1);
      }
      this.#run++;
      length = 0;
    }
  }

  #note(node: InstrNode, run: number): void {
    if (behindThreads.test(node.op.name)) this.#asynchronous = true;
    for (const reg of heldBy(node)) {
      if (!this.#held.has(reg)) this.#held.set(reg, this.#held.size);
    }
    this.#siteNumbers.set(node, this.site(node.op.name, node.location));
    this.#runs.set(node, run);
    for (const arg of node.src) if ('reg' in arg) this.#read(arg.reg, run);
  }

  #read(reg: Reg, run: number): void {
    const known = this.#readers.get(reg);
    this.#readers.set(reg, known === undefined || known === run ? run : -1);
  }
}

/** Registers that an instruction goes on using after it was issued: outputs, then inputs. */
export function heldBy({ op, dst, src }: InstrNode): Reg[] {
  if (op.holds === undefined) return [];
  const inputs = src.slice(0, op.holds.fragments);
  return [
    ...dst.map(({ reg }) => reg),
    ...inputs.flatMap((arg) => ('reg' in arg ? [arg.reg] : [])),
  ];
}
