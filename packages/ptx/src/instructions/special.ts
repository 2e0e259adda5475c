import type { Body } from '../builder/body.ts';
import type { Operand } from '../builder/operand.ts';
import { arg } from '../builder/operand.ts';
import type { Value } from '../builder/value.ts';
import { instruction } from '../ir/instruction.ts';
import type { Packed16 } from '../ir/types.ts';
import { elementwise } from './float.ts';

interface Approx {
  /** Flush subnormal inputs and results to zero: one instruction instead of three. */
  readonly ftz?: boolean | undefined;
}

/**
 * One f32 function of the special-function unit. The simulator rounds the exact result, the
 * hardware differs by at most the error that PTX states.
 */
const approx = (name: string, mnemonic: string, f: (x: string) => string) =>
  instruction<Approx>({
    name,
    kind: 'special',
    ptx: ({ ftz }, [d], [a]) => `${mnemonic}${ftz ? '.ftz' : ''}.f32 ${d}, ${a}`,
    lane: ({ ftz }, [d], [a]) =>
      ftz
        ? `${d.v} = flush(Math.fround(${f(`flush(${a.v})`)}));`
        : `${d.v} = Math.fround(${f(a.v)});`,
  });

/** 2^x, relative error below 2^-22.5 (2 ulp). */
export const ex2 = approx('ex2', 'ex2.approx', (x) => `2 ** ${x}`);
/** log2(x), absolute error below 2^-22 between 0.5 and 2, relative elsewhere. */
export const lg2 = approx('lg2', 'lg2.approx', (x) => `Math.log2(${x})`);
/** 1/x, 1 ulp. */
export const rcp = approx('rcp', 'rcp.approx', (x) => `1 / ${x}`);
/** 1/√x, relative error below 2^-22.9. */
export const rsqrt = approx('rsqrt', 'rsqrt.approx', (x) => `rsqrt(${x})`);
/** √x, relative error below 2^-23. */
export const sqrtApprox = approx('sqrt', 'sqrt.approx', (x) => `Math.sqrt(${x})`);
/** √x rounded to nearest even. */
export const sqrtExact = approx('sqrt', 'sqrt.rn', (x) => `Math.sqrt(${x})`);
/** 1/x rounded to nearest even. */
export const rcpExact = approx('rcp', 'rcp.rn', (x) => `1 / ${x}`);

/** Hyperbolic tangent, relative error below 2^-11. */
export const tanh = instruction({
  name: 'tanh',
  kind: 'special',
  ptx: (_, [d], [a]) => `tanh.approx.f32 ${d}, ${a}`,
  lane: (_, [d], [a]) => `${d.v} = Math.fround(Math.tanh(${a.v}));`,
});

/** a/b: `rn` is rounded to nearest even, `full` has 2 ulp over the full range. */
export const fdiv = instruction<{ readonly mode: 'rn' | 'full' }>({
  name: 'div',
  kind: 'special',
  ptx: ({ mode }, [d], [a, b]) => `div.${mode}.f32 ${d}, ${a}, ${b}`,
  lane: (_, [d], [a, b]) => `${d.v} = Math.fround(${a.v} / ${b.v});`,
});

/** 2^x of a packed pair. */
export const ex2Packed = instruction<{ readonly type: Packed16 }>({
  name: 'ex2',
  kind: 'special',
  requires: ({ type }) => (type === 'bf16x2' ? { sm: 90, ptx: 78 } : undefined),
  ptx: ({ type }, [d], [a]) => `ex2.approx${type === 'bf16x2' ? '.ftz' : ''}.${type} ${d}, ${a}`,
  lane: ({ type }, [d], src) => elementwise(type, d, src, (x) => `2 ** ${x}`),
});

/** Options of the approximate functions. */
export type ApproxOptions = Approx;

/** Division, roots, exponentials and logarithms. */
export const specialOps = (body: Body) => {
  const unary =
    (entry: typeof ex2) =>
    (a: Value<'f32'>, options: ApproxOptions = {}): Value<'f32'> =>
      body.one(entry(options), 'f32', [arg('f32', a)]);
  return {
    /** 2^x, approximate (2 ulp). `ftz` is one instruction instead of three. */
    ex2: unary(ex2),
    /** log2(x), approximate. */
    lg2: unary(lg2),
    /** 1/x, approximate (1 ulp). */
    rcp: unary(rcp),
    /** 1/√x, approximate. */
    rsqrt: unary(rsqrt),
    /** √x, approximate. */
    sqrt: unary(sqrtApprox),
    /** √x rounded to nearest even. */
    sqrtRn: unary(sqrtExact),
    /** 1/x rounded to nearest even. */
    rcpRn: unary(rcpExact),
    /** tanh(x), approximate (2^-11). */
    tanh: (a: Value<'f32'>): Value<'f32'> => body.one(tanh({}), 'f32', [arg('f32', a)]),
    /** a/b rounded to nearest even. */
    divRn: (a: Value<'f32'>, b: Operand<'f32'>): Value<'f32'> =>
      body.one(fdiv({ mode: 'rn' }), 'f32', [arg('f32', a), arg('f32', b)]),
    /** a/b, approximate (2 ulp). */
    divFull: (a: Value<'f32'>, b: Operand<'f32'>): Value<'f32'> =>
      body.one(fdiv({ mode: 'full' }), 'f32', [arg('f32', a), arg('f32', b)]),
    /** 2^x of both elements, approximate; bf16x2 from sm_90 on. */
    ex2Packed<T extends Packed16>(a: Value<T>): Value<T> {
      return body.one(ex2Packed({ type: a.type }), a.type, [arg(a.type, a)]);
    },
  };
};
