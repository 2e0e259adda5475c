import { instruction, type LaneReg } from '../ir/instruction.ts';
import type { Int, RegType } from '../ir/types.ts';
import { less } from './integer.ts';

/** A comparison. The `u` forms of floats also hold when either operand is NaN. */
export type Comparison = 'eq' | 'ne' | 'lt' | 'le' | 'gt' | 'ge';

export type ComparableType = Extract<
  RegType,
  'u32' | 's32' | 'u64' | 's64' | 'b32' | 'b64' | 'b16' | 'f32'
>;

interface Compare {
  readonly type: ComparableType;
  readonly is: Comparison;
  /** For f32: also true when an operand is NaN. `ne` always is, as in JavaScript. */
  readonly unordered?: boolean | undefined;
}

const symbols = { eq: '===', ne: '!==', lt: '<', le: '<=', gt: '>', ge: '>=' } as const;

/** The comparison as a JavaScript condition. */
function condition(type: ComparableType, is: Comparison, a: LaneReg, b: LaneReg): string {
  if (type === 'f32' || type === 's32') return `${a.v} ${symbols[is]} ${b.v}`;
  if (type === 'u32') return `(${a.v} >>> 0) ${symbols[is]} (${b.v} >>> 0)`;
  if (is === 'eq' || is === 'ne') {
    if (type === 'b16' || type === 'b32') return `${a.v} ${symbols[is]} ${b.v}`;
    return `(${a.lo} === ${b.lo} && ${a.hi} === ${b.hi}) === ${is === 'eq'}`;
  }
  const int = type as Int;
  if (is === 'lt') return less(int, a, b);
  if (is === 'gt') return less(int, b, a);
  return `!(${is === 'le' ? less(int, b, a) : less(int, a, b)})`;
}

/** Compares two values into a predicate. */
export const setp = instruction<Compare>({
  name: 'setp',
  kind: 'integer',
  check: ({ type, is, unordered }) => {
    if (type.startsWith('b') && is !== 'eq' && is !== 'ne') {
      return `${type} has no order; compare it as a signed or unsigned type`;
    }
    return unordered && type !== 'f32' ? `unordered comparison needs f32, not ${type}` : undefined;
  },
  ptx: ({ type, is, unordered }, [d], [a, b]) => {
    const nanToo = type === 'f32' && (unordered || is === 'ne') ? 'u' : '';
    return `setp.${is}${nanToo}.${type} ${d}, ${a}, ${b}`;
  },
  lane: ({ type, is, unordered }, [d], [a, b]) => {
    if (unordered && is !== 'ne') {
      const opposite = { eq: '!==', lt: '>=', le: '>', gt: '<=', ge: '<' }[is];
      return is === 'eq'
        ? `${d.v} = ${a.v} === ${b.v} || ${a.v} !== ${a.v} || ${b.v} !== ${b.v} ? 1 : 0;`
        : `${d.v} = ${a.v} ${opposite} ${b.v} ? 0 : 1;`;
    }
    return `${d.v} = ${condition(type, is, a, b)} ? 1 : 0;`;
  },
});

/** True when the value is NaN. */
export const isNan = instruction({
  name: 'setp',
  kind: 'float',
  ptx: (_, [d], [a]) => `setp.nan.f32 ${d}, ${a}, ${a}`,
  lane: (_, [d], [a]) => `${d.v} = ${a.v} !== ${a.v} ? 1 : 0;`,
});
