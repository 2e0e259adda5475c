import type { SimWarp } from '../warp.ts';

/** What translated code calls when something is wrong: they throw, naming the instruction `index`. */
export const traps = { fault, unset, diverged };

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
