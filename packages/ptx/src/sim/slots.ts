import type { Block, LoopNode, Program, Reg } from '../ir/program.ts';

/** Where each register lives in a warp's file, in words. */
export interface Slots {
  readonly offset: (reg: Reg) => number;
  /** Words used so far; what follows may be taken for constants. */
  readonly words: number;
}

interface Lifetime {
  readonly reg: Reg;
  start: number;
  end: number;
}

/**
 * Gives registers places in the register file, and the same place to registers that are never in use
 * at the same time: an unrolled kernel has tens of thousands of values, of which few are alive.
 */
export function assignSlots(program: Program): Slots {
  const offsets = new Map<Reg, number>();
  const free: [number[], number[]] = [[], []];
  let words = 0;
  const active: Lifetime[] = [];
  for (const life of lifetimes(program)) {
    while (active.length > 0 && active[0].end < life.start) {
      const { reg } = active.shift() as Lifetime;
      free[isWide(reg) ? 1 : 0].push(offsets.get(reg) ?? 0);
    }
    const wide = isWide(life.reg);
    let offset = free[wide ? 1 : 0].pop();
    if (offset === undefined) {
      offset = words;
      words += wide ? 64 : 32;
    }
    offsets.set(life.reg, offset);
    insert(active, life);
  }
  return { offset: (reg) => offsets.get(reg) ?? 0, words };
}

function isWide(reg: Reg): boolean {
  return reg.type === 'b64' || reg.type === 'u64' || reg.type === 's64';
}

/** Keeps the list sorted by the end of life. */
function insert(active: Lifetime[], life: Lifetime): void {
  let low = 0;
  let high = active.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (active[middle].end <= life.end) low = middle + 1;
    else high = middle;
  }
  active.splice(low, 0, life);
}

/** From the first to the last mention in program order, stretched over loops that repeat it. */
function lifetimes(program: Program): Lifetime[] {
  const lives = new Map<Reg, Lifetime>();
  const loops: { start: number; touched: Set<Reg> }[] = [];
  let position = 0;

  const touch = (reg: Reg) => {
    const life = lives.get(reg);
    if (life === undefined) {
      // A variable without a first value may carry one from an earlier round of any loop.
      const outermost = reg.maybeUnset ? (loops[0]?.start ?? position) : position;
      lives.set(reg, { reg, start: outermost, end: position });
    } else {
      life.end = position;
    }
    for (const loop of loops) loop.touched.add(reg);
  };

  const walkLoop = (node: LoopNode) => {
    const start = ++position;
    const touched = new Set<Reg>();
    loops.push({ start, touched });
    walk(node.body);
    walk(node.step);
    loops.pop();
    position++;
    for (const reg of touched) {
      const life = lives.get(reg);
      if (life !== undefined && (life.start < start || reg.maybeUnset)) life.end = position;
    }
  };

  const walk = (block: Block) => {
    for (const node of block.nodes) {
      position++;
      if (node.kind === 'instr') {
        for (const input of node.src) if ('reg' in input) touch(input.reg);
        for (const { reg } of node.dst) touch(reg);
      } else if (node.kind === 'if') {
        touch(node.cond);
        walk(node.yes);
        walk(node.no);
      } else if (node.kind === 'loop') {
        walkLoop(node);
      } else if ((node.kind === 'break' || node.kind === 'continue') && node.cond !== undefined) {
        touch(node.cond);
      }
    }
  };
  walk(program.body);
  return [...lives.values()].sort((a, b) => a.start - b.start);
}
