import type { Body } from '../builder/body.ts';
import { arg, type Operand } from '../builder/operand.ts';
import type { Value } from '../builder/value.ts';
import { instruction } from '../ir/instruction.ts';
import type { Type32 } from '../ir/types.ts';

/** Which lane each lane reads: `up` and `down` by distance, `bfly` by XOR, `idx` by number. */
export type ShuffleMode = 'up' | 'down' | 'bfly' | 'idx';

/** Reads a register of another lane. */
export const shfl = instruction<{ readonly mode: ShuffleMode }>({
  name: 'shfl',
  kind: 'shuffle',
  ptx: ({ mode }, [d, ...p], [a, lane, clamp, mask]) =>
    `shfl.sync.${mode}.b32 ${p.length > 0 ? `${d}|${p[0]}` : d}, ${a}, ${lane}, ${clamp}, ${mask}`,
});

/** A predicate over the lanes of the mask. */
export const vote = instruction<{ readonly mode: 'all' | 'any' | 'uni' }>({
  name: 'vote',
  kind: 'shuffle',
  ptx: ({ mode }, [d], [p, mask]) => `vote.sync.${mode}.pred ${d}, ${p}, ${mask}`,
});

/** Bit l of the result is lane l's predicate. */
export const ballot = instruction({
  name: 'vote.ballot',
  kind: 'shuffle',
  ptx: (_, [d], [p, mask]) => `vote.sync.ballot.b32 ${d}, ${p}, ${mask}`,
});

/** The lanes that hold the same value. */
export const matchAny = instruction({
  name: 'match.any',
  kind: 'shuffle',
  ptx: (_, [d], [a, mask]) => `match.any.sync.b32 ${d}, ${a}, ${mask}`,
});

/** The mask if all its lanes hold the same value, otherwise 0. */
export const matchAll = instruction({
  name: 'match.all',
  kind: 'shuffle',
  ptx: (_, [d, p], [a, mask]) => `match.all.sync.b32 ${d}|${p}, ${a}, ${mask}`,
});

/** The lanes executing this instruction. */
export const activemask = instruction({
  name: 'activemask',
  kind: 'shuffle',
  ptx: (_, [d]) => `activemask.b32 ${d}`,
});

/** Operations of {@link redux}. */
export type ReduxOp = 'add' | 'min' | 'max' | 'and' | 'or' | 'xor';

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
