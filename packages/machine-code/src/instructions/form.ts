import type { Feature } from '../features/feature.ts';
import type { Operand } from '../operands/operand.ts';
import type { VectorKind } from '../registers/register.ts';
import type { Forms, FormText, Operands } from './signature.ts';

const bits: Readonly<Record<VectorKind, number>> = { xmm: 128, ymm: 256, zmm: 512 };

/** What each token that follows the vector's length means at one length. */
function atLength(operands: string, kind: VectorKind): string {
  const length = bits[kind];
  const half = kind === 'zmm' ? 'ymm' : 'xmm';
  const names: Readonly<Record<string, string>> = {
    v: kind,
    h: half,
    q: 'xmm',
    e: 'xmm',
    mv: `m${length}`,
    mh: `m${length / 2}`,
    mq: `m${length / 4}`,
    me: `m${length / 8}`,
  };
  return operands.replace(/[a-z]\w*/g, (token, at: number) =>
    operands[at - 1] === '{' ? token : (names[token] ?? token),
  );
}

/** VEX has neither masks nor broadcasts. */
const withoutMasks = (operands: string): string => operands.replace(/\{\w+\}|\/b\d+/g, '');

/** `W0|W1` is what VEX and EVEX differ in. */
const withW = (code: string, side: 0 | 1): string =>
  code.replace(/(W\w+)\|(W\w+)/, (_, vex: string, evex: string) => (side === 0 ? vex : evex));

function vexForm(operands: string, code: string, kind: VectorKind, feature: Feature): FormText {
  return {
    operands: atLength(withoutMasks(operands), kind),
    encoding: `VEX.${bits[kind]}.${withW(code, 0)}`,
    features: [feature],
  };
}

function evexForm(operands: string, code: string, kind: VectorKind, feature: Feature): FormText {
  return {
    operands: atLength(operands, kind),
    encoding: `EVEX.${bits[kind]}.${withW(code, 1)}`,
    features: kind === 'zmm' || feature === 'avx512vl' ? [feature] : [feature, 'avx512vl'],
  };
}

/** Features that the VEX forms of 128 and of 256 bits need. */
export type VexFeatures = readonly [Feature, Feature];
export const avx: VexFeatures = ['avx', 'avx'];
export const avx2: VexFeatures = ['avx', 'avx2'];
export const fma: VexFeatures = ['fma', 'fma'];
export const f16c: VexFeatures = ['f16c', 'f16c'];

/** One form, spelled out. */
export function form<const S extends string>(
  operands: S,
  encoding: string,
  ...features: Feature[]
): Forms<Operands<S>> {
  return { forms: [{ operands, encoding, features }] };
}

/** A vector instruction of AVX (128 and 256 bits) and AVX-512 (all three lengths, with masks). */
export function packed<const S extends string>(
  operands: S,
  code: string,
  vex: VexFeatures,
  evex: Feature,
): Forms<Operands<S, VectorKind>> {
  return {
    forms: [...vexOnly(operands, code, vex).forms, ...evexOnly(operands, code, evex).forms],
  };
}

/** As {@link packed}, for what moves data across 128-bit lanes and has no form of 128 bits. */
export function packedWide<const S extends string>(
  operands: S,
  code: string,
  vex: Feature,
  evex: Feature,
): Forms<Operands<S, 'ymm' | 'zmm'>> {
  return {
    forms: [vexForm(operands, code, 'ymm', vex), ...evexWide(operands, code, evex).forms],
  };
}

/** A vector instruction that AVX-512 has not taken over. */
export function vexOnly<const S extends string>(
  operands: S,
  code: string,
  [short, long]: VexFeatures,
): Forms<Operands<S, 'xmm' | 'ymm'>> {
  return {
    forms: [vexForm(operands, code, 'xmm', short), vexForm(operands, code, 'ymm', long)],
  };
}

/** A vector instruction that is new in AVX-512. */
export function evexOnly<const S extends string>(
  operands: S,
  code: string,
  feature: Feature,
): Forms<Operands<S, VectorKind>> {
  const kinds: VectorKind[] = ['xmm', 'ymm', 'zmm'];
  return { forms: kinds.map((kind) => evexForm(operands, code, kind, feature)) };
}

/** As {@link evexOnly} without a form of 128 bits. */
export function evexWide<const S extends string>(
  operands: S,
  code: string,
  feature: Feature,
): Forms<Operands<S, 'ymm' | 'zmm'>> {
  const kinds: VectorKind[] = ['ymm', 'zmm'];
  return { forms: kinds.map((kind) => evexForm(operands, code, kind, feature)) };
}

/** An instruction on the lowest element of a vector: one length, with masks in AVX-512. */
export function lowest<const S extends string>(
  operands: S,
  code: string,
  vex: Feature,
  evex: Feature,
): Forms<Operands<S>> {
  return {
    forms: [
      {
        operands: withoutMasks(operands),
        encoding: `VEX.128.${withW(code, 0)}`,
        features: [vex],
      },
      { operands, encoding: `EVEX.128.${withW(code, 1)}`, features: [evex] },
    ],
  };
}

/** All forms of the parts, in their order. Of equally long encodings the first is taken. */
export function either<const P extends readonly Forms[]>(
  ...parts: P
): Forms<P[number] extends Forms<infer O> ? O : readonly Operand[]> {
  return { forms: parts.flatMap((part) => part.forms) };
}

/** An instruction that also writes registers it does not name, by their numbers. */
export function writing<O extends readonly Operand[]>(
  numbers: readonly number[],
  forms: Forms<O>,
): Forms<O> {
  return { ...forms, implicit: numbers };
}

/** An instruction that faults when two of its vector or tile registers are the same. */
export function distinct<O extends readonly Operand[]>(forms: Forms<O>): Forms<O> {
  return { ...forms, distinct: true };
}
