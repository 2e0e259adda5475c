import type { Feature } from '../features/feature.ts';
import {
  avx,
  avx2,
  either,
  evexOnly,
  evexWide,
  form,
  packed,
  packedWide,
  vexOnly,
} from './form.ts';

const unpackD = (opcode: string) =>
  packed('v{z}, v, v/mv/b32', `66.0F.W0 ${opcode} /r`, avx2, 'avx512f');
const unpackQ = (opcode: string) =>
  packed('v{z}, v, v/mv/b64', `66.0F.WIG|W1 ${opcode} /r`, avx2, 'avx512f');
const narrow = (code: string) => packed('v{z}, v, v/mv', `66.${code} /r`, avx2, 'avx512bw');
const evexD = (code: string) => evexOnly('v{z}, v, v/mv/b32', `66.0F38.W0 ${code} /r`, 'avx512f');
const evexNarrow = (code: string, feature: Feature) =>
  evexOnly('v{z}, v, v/mv', `66.0F38.${code} /r`, feature);
const lanes = (opcode: string, w: 'W0' | 'W1') =>
  w === 'W0'
    ? evexWide('v{z}, v, v/mv/b32, uimm8', `66.0F3A.W0 ${opcode} /r ib`, 'avx512f')
    : evexWide('v{z}, v, v/mv/b64, uimm8', `66.0F3A.W1 ${opcode} /r ib`, 'avx512f');
/** A constant that says where each element of a 128-bit lane comes from. */
const within = (code: string) => packed('v{z}, v/mv, uimm8', `${code} /r ib RM`, avx2, 'avx512bw');

/** Rearrangements: inside 128-bit lanes, across them, and parts of vectors. */
export const vectorShuffles = {
  vpunpcklbw: narrow('0F.WIG 60'),
  vpunpckhbw: narrow('0F.WIG 68'),
  vpunpcklwd: narrow('0F.WIG 61'),
  vpunpckhwd: narrow('0F.WIG 69'),
  vpunpckldq: unpackD('62'),
  vpunpckhdq: unpackD('6A'),
  vpunpcklqdq: unpackQ('6C'),
  vpunpckhqdq: unpackQ('6D'),
  vunpcklps: packed('v{z}, v, v/mv/b32', 'NP.0F.W0 14 /r', avx, 'avx512f'),
  vunpckhps: packed('v{z}, v, v/mv/b32', 'NP.0F.W0 15 /r', avx, 'avx512f'),
  vunpcklpd: packed('v{z}, v, v/mv/b64', '66.0F.W0|W1 14 /r', avx, 'avx512f'),
  vunpckhpd: packed('v{z}, v, v/mv/b64', '66.0F.W0|W1 15 /r', avx, 'avx512f'),
  vpackssdw: packed('v{z}, v, v/mv/b32', '66.0F.W0 6B /r', avx2, 'avx512bw'),
  vpackusdw: packed('v{z}, v, v/mv/b32', '66.0F38.W0 2B /r', avx2, 'avx512bw'),
  vpackuswb: narrow('0F.WIG 67'),
  /** Bytes of a lane by index; an index with its top bit set gives 0. */
  vpshufb: narrow('0F38.WIG 00'),
  vpshufd: packed('v{z}, v/mv/b32, uimm8', '66.0F.W0 70 /r ib RM', avx2, 'avx512f'),
  vpshufhw: within('F3.0F.WIG 70'),
  vpshuflw: within('F2.0F.WIG 70'),
  vpalignr: packed('v{z}, v, v/mv, uimm8', '66.0F3A.WIG 0F /r ib', avx2, 'avx512bw'),
  vshufps: packed('v{z}, v, v/mv/b32, uimm8', 'NP.0F.W0 C6 /r ib', avx, 'avx512f'),
  vshufpd: packed('v{z}, v, v/mv/b64, uimm8', '66.0F.W0|W1 C6 /r ib', avx, 'avx512f'),
  vpermilps: either(
    packed('v{z}, v, v/mv/b32', '66.0F38.W0 0C /r', avx, 'avx512f'),
    packed('v{z}, v/mv/b32, uimm8', '66.0F3A.W0 04 /r ib RM', avx, 'avx512f'),
  ),
  /** Whole 128-bit lanes of two vectors. */
  vperm2f128: form('ymm, ymm, ymm/m256, uimm8', 'VEX.256.66.0F3A.W0 06 /r ib', 'avx'),
  vperm2i128: form('ymm, ymm, ymm/m256, uimm8', 'VEX.256.66.0F3A.W0 46 /r ib', 'avx2'),
  vshuff32x4: lanes('23', 'W0'),
  vshufi32x4: lanes('43', 'W0'),
  vshufi64x2: lanes('43', 'W1'),
  /** Elements of the last operand, by the index in the second. */
  vpermd: packedWide('v{z}, v, v/mv/b32', '66.0F38.W0 36 /r', 'avx2', 'avx512f'),
  vpermps: packedWide('v{z}, v, v/mv/b32', '66.0F38.W0 16 /r', 'avx2', 'avx512f'),
  vpermq: packedWide('v{z}, v/mv/b64, uimm8', '66.0F3A.W1 00 /r ib RM', 'avx2', 'avx512f'),
  vpermpd: packedWide('v{z}, v/mv/b64, uimm8', '66.0F3A.W1 01 /r ib RM', 'avx2', 'avx512f'),
  vpermw: evexNarrow('W1 8D', 'avx512bw'),
  vpermb: evexNarrow('W0 8D', 'avx512vbmi'),
  /** Elements of two tables by index: `t2` overwrites the first table, `i2` the index. */
  vpermt2d: evexD('7E'),
  vpermi2d: evexD('76'),
  vpermt2ps: evexD('7F'),
  vpermi2ps: evexD('77'),
  vpermt2w: evexNarrow('W1 7D', 'avx512bw'),
  vpermi2w: evexNarrow('W1 75', 'avx512bw'),
  vpermt2b: evexNarrow('W0 7D', 'avx512vbmi'),
  vpermi2b: evexNarrow('W0 75', 'avx512vbmi'),
  valignd: evexOnly('v{z}, v, v/mv/b32, uimm8', '66.0F3A.W0 03 /r ib', 'avx512f'),

  vinsertf128: form('ymm, ymm, xmm/m128, uimm8', 'VEX.256.66.0F3A.W0 18 /r ib', 'avx'),
  vinserti128: form('ymm, ymm, xmm/m128, uimm8', 'VEX.256.66.0F3A.W0 38 /r ib', 'avx2'),
  vextractf128: form('xmm/m128, ymm, uimm8', 'VEX.256.66.0F3A.W0 19 /r ib', 'avx'),
  vextracti128: form('xmm/m128, ymm, uimm8', 'VEX.256.66.0F3A.W0 39 /r ib', 'avx2'),
  vinsertf32x4: evexWide('v{z}, v, xmm/m128, uimm8', '66.0F3A.W0 18 /r ib', 'avx512f'),
  vinserti32x4: evexWide('v{z}, v, xmm/m128, uimm8', '66.0F3A.W0 38 /r ib', 'avx512f'),
  vextractf32x4: evexWide('xmm{z}/m128{k}, v, uimm8', '66.0F3A.W0 19 /r ib', 'avx512f'),
  vextracti32x4: evexWide('xmm{z}/m128{k}, v, uimm8', '66.0F3A.W0 39 /r ib', 'avx512f'),
  vinsertf64x4: form('zmm{z}, zmm, ymm/m256, uimm8', 'EVEX.512.66.0F3A.W1 1A /r ib', 'avx512f'),
  vinserti64x4: form('zmm{z}, zmm, ymm/m256, uimm8', 'EVEX.512.66.0F3A.W1 3A /r ib', 'avx512f'),
  vextractf64x4: form('ymm{z}/m256{k}, zmm, uimm8', 'EVEX.512.66.0F3A.W1 1B /r ib', 'avx512f'),
  vextracti64x4: form('ymm{z}/m256{k}, zmm, uimm8', 'EVEX.512.66.0F3A.W1 3B /r ib', 'avx512f'),
  vinsertps: form('xmm, xmm, xmm/m32, uimm8', 'VEX.128.66.0F3A.WIG 21 /r ib', 'avx'),
  vpinsrb: form('xmm, xmm, r32/m8, uimm8', 'VEX.128.66.0F3A.W0 20 /r ib', 'avx'),
  vpinsrw: form('xmm, xmm, r32/m16, uimm8', 'VEX.128.66.0F.W0 C4 /r ib', 'avx'),
  vpinsrd: form('xmm, xmm, r32/m32, uimm8', 'VEX.128.66.0F3A.W0 22 /r ib', 'avx'),
  vpinsrq: form('xmm, xmm, r64/m64, uimm8', 'VEX.128.66.0F3A.W1 22 /r ib', 'avx'),
  vpextrb: form('r32/m8, xmm, uimm8', 'VEX.128.66.0F3A.W0 14 /r ib', 'avx'),
  vpextrw: either(
    form('r32, xmm, uimm8', 'VEX.128.66.0F.W0 C5 /r ib', 'avx'),
    form('m16, xmm, uimm8', 'VEX.128.66.0F3A.W0 15 /r ib', 'avx'),
  ),
  vpextrd: form('r32/m32, xmm, uimm8', 'VEX.128.66.0F3A.W0 16 /r ib', 'avx'),
  vpextrq: form('r64/m64, xmm, uimm8', 'VEX.128.66.0F3A.W1 16 /r ib', 'avx'),
  vpsadbw: vexOnly('v, v, v/mv', '66.0F.WIG F6 /r', avx2),
} as const;
