import type { Feature } from '../features/feature.ts';
import { either, form } from './form.ts';

/** How each width of mask (b, w, d, q) is told apart, and what it needs. */
const widths: Readonly<Record<'b' | 'w' | 'd' | 'q', readonly [string, Feature]>> = {
  b: ['66.0F.W0', 'avx512dq'],
  w: ['NP.0F.W0', 'avx512f'],
  d: ['66.0F.W1', 'avx512bw'],
  q: ['NP.0F.W1', 'avx512bw'],
};
type Width = keyof typeof widths;

const binary = (width: Width, opcode: string) => {
  const [code, feature] = widths[width];
  const needs = width === 'w' && opcode === '4A' ? 'avx512dq' : feature;
  return form('k, k, k', `VEX.256.${code} ${opcode} /r`, needs);
};
const unary = (width: Width, opcode: string) => {
  const [code, feature] = widths[width];
  const needs = width === 'w' && opcode === '99' ? 'avx512dq' : feature;
  return form('k, k', `VEX.128.${code} ${opcode} /r`, needs);
};
const shift = (code: string, feature: Feature) =>
  form('k, k, uimm8', `VEX.128.66.0F3A.${code} /r ib RM`, feature);

/** Operations on mask registers; the last letter is the width: 8, 16, 32 or 64 lanes. */
export const maskOperations = {
  kmovb: either(
    form('k, k/m8', 'VEX.128.66.0F.W0 90 /r', 'avx512dq'),
    form('m8, k', 'VEX.128.66.0F.W0 91 /r', 'avx512dq'),
    form('k, r32', 'VEX.128.66.0F.W0 92 /r', 'avx512dq'),
    form('r32, k', 'VEX.128.66.0F.W0 93 /r', 'avx512dq'),
  ),
  kmovw: either(
    form('k, k/m16', 'VEX.128.NP.0F.W0 90 /r', 'avx512f'),
    form('m16, k', 'VEX.128.NP.0F.W0 91 /r', 'avx512f'),
    form('k, r32', 'VEX.128.NP.0F.W0 92 /r', 'avx512f'),
    form('r32, k', 'VEX.128.NP.0F.W0 93 /r', 'avx512f'),
  ),
  kmovd: either(
    form('k, k/m32', 'VEX.128.66.0F.W1 90 /r', 'avx512bw'),
    form('m32, k', 'VEX.128.66.0F.W1 91 /r', 'avx512bw'),
    form('k, r32', 'VEX.128.F2.0F.W0 92 /r', 'avx512bw'),
    form('r32, k', 'VEX.128.F2.0F.W0 93 /r', 'avx512bw'),
  ),
  kmovq: either(
    form('k, k/m64', 'VEX.128.NP.0F.W1 90 /r', 'avx512bw'),
    form('m64, k', 'VEX.128.NP.0F.W1 91 /r', 'avx512bw'),
    form('k, r64', 'VEX.128.F2.0F.W1 92 /r', 'avx512bw'),
    form('r64, k', 'VEX.128.F2.0F.W1 93 /r', 'avx512bw'),
  ),
  kandw: binary('w', '41'),
  kandd: binary('d', '41'),
  kandq: binary('q', '41'),
  kandnw: binary('w', '42'),
  kandnd: binary('d', '42'),
  kandnq: binary('q', '42'),
  korw: binary('w', '45'),
  kord: binary('d', '45'),
  korq: binary('q', '45'),
  kxnorw: binary('w', '46'),
  kxnord: binary('d', '46'),
  kxnorq: binary('q', '46'),
  kxorw: binary('w', '47'),
  kxord: binary('d', '47'),
  kxorq: binary('q', '47'),
  kaddw: binary('w', '4A'),
  kunpckbw: form('k, k, k', 'VEX.256.66.0F.W0 4B /r', 'avx512f'),
  kunpckwd: form('k, k, k', 'VEX.256.NP.0F.W0 4B /r', 'avx512bw'),
  kunpckdq: form('k, k, k', 'VEX.256.NP.0F.W1 4B /r', 'avx512bw'),
  knotw: unary('w', '44'),
  knotd: unary('d', '44'),
  knotq: unary('q', '44'),
  /** Zero flag: no bit of either is set; carry flag: all are. */
  kortestb: unary('b', '98'),
  kortestw: unary('w', '98'),
  kortestd: unary('d', '98'),
  kortestq: unary('q', '98'),
  ktestw: unary('w', '99'),
  ktestd: unary('d', '99'),
  kshiftlw: shift('W1 32', 'avx512f'),
  kshiftrw: shift('W1 30', 'avx512f'),
  kshiftld: shift('W0 33', 'avx512bw'),
  kshiftrd: shift('W0 31', 'avx512bw'),
  kshiftlq: shift('W1 33', 'avx512bw'),
  kshiftrq: shift('W1 31', 'avx512bw'),
} as const;
