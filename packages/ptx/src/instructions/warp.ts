import type { Body } from '../builder/body.ts';
import { arg, type Operand } from '../builder/operand.ts';
import type { Value } from '../builder/value.ts';
import { instruction } from '../ir/instruction.ts';
import type { Type32 } from '../ir/types.ts';
import type { Site, Warp } from '../sim/machine.ts';

/** Which lane each lane reads: `up` and `down` by distance, `bfly` by XOR, `idx` by number. */
export type ShuffleMode = 'up' | 'down' | 'bfly' | 'idx';

/** Calls `visit` for each set of lanes that name the same mask; all of them must be executing. */
function forGroups(
  w: Warp,
  site: Site,
  mask: number,
  members: number,
  visit: (group: number) => void,
): void {
  for (let rest = mask; rest !== 0; ) {
    const group = w.I[members + 31 - Math.clz32(rest & -rest)];
    w.together(site, mask, group);
    visit(group & mask);
    rest &= ~group;
  }
}

/** Writes one word into a register's lanes. */
function setLanes(w: Warp, register: number, group: number, value: number): void {
  for (let lane = 0; lane < 32; lane++) {
    if ((group >>> lane) & 1) w.I[register + lane] = value;
  }
}

/** Predicates are one word: bit l belongs to lane l. */
function setPredicate(w: Warp, register: number, group: number, value: boolean): void {
  w.I[register] = value ? w.I[register] | group : w.I[register] & ~group;
}

/** The lane that `lane` reads, itself where there is none. */
function sourceLane(mode: ShuffleMode, lane: number, b: number, c: number): number {
  const segment = (c >> 8) & 31;
  const first = lane & segment;
  const last = first | (c & 31 & ~segment);
  const distance = b & 31;
  if (mode === 'up') return lane - distance >= last ? lane - distance : lane;
  const source =
    mode === 'down'
      ? lane + distance
      : mode === 'bfly'
        ? lane ^ distance
        : first | (distance & ~segment);
  return source <= last ? source : lane;
}

/** A register's content before the instruction writes its result. */
const copy = new Int32Array(32);

function remember(w: Warp, register: number): void {
  for (let lane = 0; lane < 32; lane++) copy[lane] = w.I[register + lane];
}

/** Reads a register of another lane. */
export const shfl = instruction<{ readonly mode: ShuffleMode }>({
  name: 'shfl',
  kind: 'shuffle',
  ptx: ({ mode }, [d, ...p], [a, lane, clamp, mask]) =>
    `shfl.sync.${mode}.b32 ${p.length > 0 ? `${d}|${p[0]}` : d}, ${a}, ${lane}, ${clamp}, ${mask}`,
  warp:
    ({ mode }, site) =>
    (w, mask) => {
      const [a, b, c, members] = site.s;
      forGroups(w, site, mask, members, () => {});
      remember(w, a);
      for (let lane = 0; lane < 32; lane++) {
        if (((mask >>> lane) & 1) === 0) continue;
        const source = sourceLane(mode, lane, w.I[b + lane], w.I[c + lane]);
        if (((mask >>> source) & 1) === 0) {
          w.fault('divergence', site, `reads lane ${source}, which does not execute it`, lane);
        }
        w.I[site.d[0] + lane] = copy[source];
      }
    },
});

/** A predicate over the lanes of the mask. */
export const vote = instruction<{ readonly mode: 'all' | 'any' | 'uni' }>({
  name: 'vote',
  kind: 'shuffle',
  ptx: ({ mode }, [d], [p, mask]) => `vote.sync.${mode}.pred ${d}, ${p}, ${mask}`,
  warp:
    ({ mode }, site) =>
    (w, mask) => {
      const votes = w.I[site.s[0]];
      forGroups(w, site, mask, site.s[1], (group) => {
        const all = (votes & group) === group;
        const none = (votes & group) === 0;
        const result = mode === 'all' ? all : mode === 'any' ? !none : all || none;
        setPredicate(w, site.d[0], group, result);
      });
    },
});

/** Bit l of the result is lane l's predicate. */
export const ballot = instruction({
  name: 'vote.ballot',
  kind: 'shuffle',
  ptx: (_, [d], [p, mask]) => `vote.sync.ballot.b32 ${d}, ${p}, ${mask}`,
  warp: (_, site) => (w, mask) => {
    const votes = w.I[site.s[0]];
    forGroups(w, site, mask, site.s[1], (group) => setLanes(w, site.d[0], group, votes & group));
  },
});

/** The lanes that hold the same value. */
export const matchAny = instruction({
  name: 'match.any',
  kind: 'shuffle',
  ptx: (_, [d], [a, mask]) => `match.any.sync.b32 ${d}, ${a}, ${mask}`,
  warp: (_, site) => (w, mask) => {
    const [a, members] = site.s;
    remember(w, a);
    forGroups(w, site, mask, members, (group) => {
      for (let lane = 0; lane < 32; lane++) {
        if (((group >>> lane) & 1) === 0) continue;
        let same = 0;
        for (let l = 0; l < 32; l++) if (copy[l] === copy[lane]) same |= 1 << l;
        w.I[site.d[0] + lane] = same & group;
      }
    });
  },
});

/** The mask if all its lanes hold the same value, otherwise 0. */
export const matchAll = instruction({
  name: 'match.all',
  kind: 'shuffle',
  ptx: (_, [d, p], [a, mask]) => `match.all.sync.b32 ${d}|${p}, ${a}, ${mask}`,
  warp: (_, site) => (w, mask) => {
    const [a, members] = site.s;
    remember(w, a);
    forGroups(w, site, mask, members, (group) => {
      const first = copy[31 - Math.clz32(group & -group)];
      const same = copy.every((value, lane) => ((group >>> lane) & 1) === 0 || value === first);
      setLanes(w, site.d[0], group, same ? group : 0);
      setPredicate(w, site.d[1], group, same);
    });
  },
});

/** The lanes executing this instruction. */
export const activemask = instruction({
  name: 'activemask',
  kind: 'shuffle',
  ptx: (_, [d]) => `activemask.b32 ${d}`,
  warp: (_, site) => (w, mask) => setLanes(w, site.d[0], mask, mask),
});

/** Operations of {@link redux}. */
export type ReduxOp = 'add' | 'min' | 'max' | 'and' | 'or' | 'xor';

/** Unsigned extrema work on values with the sign bit flipped, which orders them as signed. */
const reductions: Record<ReduxOp, (x: number, y: number) => number> = {
  add: (x, y) => (x + y) | 0,
  min: (x, y) => Math.min(x, y),
  max: (x, y) => Math.max(x, y),
  and: (x, y) => x & y,
  or: (x, y) => x | y,
  xor: (x, y) => x ^ y,
};

/** One integer operation over all lanes of the mask. */
export const redux = instruction<{
  readonly op: ReduxOp;
  readonly type: 'u32' | 's32' | 'b32';
}>({
  name: 'redux',
  kind: 'shuffle',
  check: ({ op, type }) =>
    (op === 'and' || op === 'or' || op === 'xor') === (type === 'b32')
      ? undefined
      : `redux.${op} does not exist for ${type}`,
  ptx: ({ op, type }, [d], [a, mask]) => `redux.sync.${op}.${type} ${d}, ${a}, ${mask}`,
  warp: ({ op, type }, site) => {
    const combine = reductions[op];
    const flip = type === 'u32' && (op === 'min' || op === 'max') ? 0x80000000 : 0;
    return (w, mask) => {
      const [a, members] = site.s;
      remember(w, a);
      forGroups(w, site, mask, members, (group) => {
        const lanes = copy.filter((_, lane) => (group >>> lane) & 1);
        const result = lanes.map((v) => v ^ flip).reduce(combine);
        setLanes(w, site.d[0], group, result ^ flip);
      });
    };
  },
});

const everyLane = 0xffffffff;

/** Options of a shuffle. */
export interface ShuffleOptions {
  /** The lanes that take part; every lane of the mask must execute the shuffle. */
  readonly mask?: Operand<'b32'>;
  /** Lanes exchange only within aligned segments of this power of two. */
  readonly width?: 2 | 4 | 8 | 16 | 32;
}

/** Communication between the lanes of a warp. */
export const warpOps = (body: Body) => {
  const clampOf = (mode: ShuffleMode, width: number): number =>
    ((32 - width) << 8) | (mode === 'up' ? 0 : 31);
  const shuffle =
    (mode: ShuffleMode) =>
    <T extends Type32>(
      a: Value<T>,
      lane: Operand<'u32'>,
      options: ShuffleOptions = {},
    ): Value<T> => {
      const { mask = everyLane, width = 32 } = options;
      return body.one(
        shfl({ mode }),
        a.type,
        [
          { reg: a.reg, type: 'b32' },
          arg('u32', lane),
          arg('u32', clampOf(mode, width)),
          arg('b32', mask),
        ],
        ['b32'],
      );
    };
  const voting =
    (mode: 'all' | 'any' | 'uni') =>
    (p: Value<'pred'>, mask: Operand<'b32'> = everyLane): Value<'pred'> =>
      body.one(vote({ mode }), 'pred', [arg('pred', p), arg('b32', mask)]);
  return {
    /** The value of lane `lane` (counted within the segment). */
    shuffle: shuffle('idx'),
    /** The value of the lane whose number differs by XOR with `laneMask`. */
    shuffleXor: shuffle('bfly'),
    /** The value of the lane `delta` below; lanes without one keep their own. */
    shuffleUp: shuffle('up'),
    /** The value of the lane `delta` above; lanes without one keep their own. */
    shuffleDown: shuffle('down'),
    /** True in every lane if the predicate holds in all lanes of the mask. */
    all: voting('all'),
    /** True in every lane if the predicate holds in some lane of the mask. */
    any: voting('any'),
    /** True in every lane if all lanes of the mask agree. */
    uniform: voting('uni'),
    /** Bit l is lane l's predicate, 0 outside the mask. */
    ballot(p: Value<'pred'>, mask: Operand<'b32'> = everyLane): Value<'b32'> {
      return body.one(ballot({}), 'b32', [arg('pred', p), arg('b32', mask)]);
    },
    /** The lanes of the mask whose value equals this lane's. */
    matchAny(a: Value<Type32>, mask: Operand<'b32'> = everyLane): Value<'b32'> {
      return body.one(matchAny({}), 'b32', [{ reg: a.reg, type: 'b32' }, arg('b32', mask)]);
    },
    /** The mask if its lanes all hold the same value, otherwise 0; and whether they do. */
    matchAll(a: Value<Type32>, mask: Operand<'b32'> = everyLane): [Value<'b32'>, Value<'pred'>] {
      const [lanes, same] = body.many(matchAll({}), ['b32', 'pred'] as ('b32' | 'pred')[], [
        { reg: a.reg, type: 'b32' },
        arg('b32', mask),
      ]);
      return [lanes as Value<'b32'>, same as Value<'pred'>];
    },
    /** The lanes that execute this instruction together. */
    activeMask(): Value<'b32'> {
      return body.one(activemask({}), 'b32', []);
    },
    /** Sum, minimum or maximum of integers, or bitwise and/or/xor of `b32`, over the mask's lanes. */
    reduce<T extends 'u32' | 's32' | 'b32'>(
      op: T extends 'b32' ? 'and' | 'or' | 'xor' : 'add' | 'min' | 'max',
      a: Value<T>,
      mask: Operand<'b32'> = everyLane,
    ): Value<T> {
      return body.one(redux({ op, type: a.type }), a.type, [arg(a.type, a), arg('b32', mask)]);
    },
  };
};
