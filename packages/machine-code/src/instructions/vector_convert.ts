import { avx, avx2, either, evexOnly, f16c, form, lowest, packed } from './form.ts';

/** Widens integers: half, a quarter or an eighth of a vector fills a whole one. */
const widenHalf = (opcode: string) =>
  packed('v{z}, h/mh', `66.0F38.WIG ${opcode} /r`, avx2, 'avx512f');
const widenHalfNarrow = (opcode: string) =>
  packed('v{z}, h/mh', `66.0F38.WIG ${opcode} /r`, avx2, 'avx512bw');
const widenQuarter = (opcode: string) =>
  packed('v{z}, q/mq', `66.0F38.WIG ${opcode} /r`, avx2, 'avx512f');
const sameSize = (code: string) => packed('v{z}, v/mv/b32', `${code} /r`, avx, 'avx512f');
const narrowHalf = (opcode: string) =>
  evexOnly('h{z}/mh{k}, v', `F3.0F38.W0 ${opcode} /r`, 'avx512f');

/** Conversions between number formats and widths. */
export const vectorConversions = {
  vcvtdq2ps: sameSize('NP.0F.W0 5B'),
  /** To the nearest integer, ties to even. */
  vcvtps2dq: sameSize('66.0F.W0 5B'),
  /** To an integer, towards zero. */
  vcvttps2dq: sameSize('F3.0F.W0 5B'),
  vcvtudq2ps: evexOnly('v{z}, v/mv/b32', 'F2.0F.W0 7A /r', 'avx512f'),
  vcvttps2udq: evexOnly('v{z}, v/mv/b32', 'NP.0F.W0 78 /r', 'avx512f'),
  vcvtps2pd: packed('v{z}, h/mh/b32', 'NP.0F.W0 5A /r', avx, 'avx512f'),
  vcvtpd2ps: packed('h{z}, v/mv/b64', '66.0F.W0|W1 5A /r', avx, 'avx512f'),
  vcvtss2sd: lowest('xmm{z}, xmm, xmm/m32', 'F3.0F.W0 5A /r', 'avx', 'avx512f'),
  vcvtsd2ss: lowest('xmm{z}, xmm, xmm/m64', 'F2.0F.W0|W1 5A /r', 'avx', 'avx512f'),
  vcvtsi2ss: either(
    lowest('xmm, xmm, r32/m32', 'F3.0F.W0 2A /r', 'avx', 'avx512f'),
    lowest('xmm, xmm, r64/m64', 'F3.0F.W1 2A /r', 'avx', 'avx512f'),
  ),
  vcvttss2si: either(
    lowest('r32, xmm/m32', 'F3.0F.W0 2C /r', 'avx', 'avx512f'),
    lowest('r64, xmm/m32', 'F3.0F.W1 2C /r', 'avx', 'avx512f'),
  ),
  vcvtss2si: either(
    lowest('r32, xmm/m32', 'F3.0F.W0 2D /r', 'avx', 'avx512f'),
    lowest('r64, xmm/m32', 'F3.0F.W1 2D /r', 'avx', 'avx512f'),
  ),
  /** f16 to f32. */
  vcvtph2ps: packed('v{z}, h/mh', '66.0F38.W0 13 /r', f16c, 'avx512f'),
  /** f32 to f16; the constant chooses the rounding, 0 is to nearest, ties to even. */
  vcvtps2ph: packed('h{z}/mh{k}, v, uimm8', '66.0F3A.W0 1D /r ib', f16c, 'avx512f'),
  /** f32 to bf16, to nearest, ties to even; denormal numbers become zero. */
  vcvtneps2bf16: evexOnly('h{z}, v/mv/b32', 'F3.0F38.W0 72 /r', 'avx512_bf16'),
  /** Two vectors of f32 to one of bf16; the last operand fills the low half. */
  vcvtne2ps2bf16: evexOnly('v{z}, v, v/mv/b32', 'F2.0F38.W0 72 /r', 'avx512_bf16'),

  vpmovzxbw: widenHalfNarrow('30'),
  vpmovzxbd: widenQuarter('31'),
  vpmovzxbq: packed('v{z}, e/me', '66.0F38.WIG 32 /r', avx2, 'avx512f'),
  vpmovzxwd: widenHalf('33'),
  vpmovzxwq: widenQuarter('34'),
  vpmovzxdq: packed('v{z}, h/mh', '66.0F38.W0 35 /r', avx2, 'avx512f'),
  vpmovsxbw: widenHalfNarrow('20'),
  vpmovsxbd: widenQuarter('21'),
  vpmovsxwd: widenHalf('23'),
  vpmovsxdq: packed('v{z}, h/mh', '66.0F38.W0 25 /r', avx2, 'avx512f'),
  /** The low halves of 32-bit elements. */
  vpmovdw: narrowHalf('33'),
  vpmovqd: narrowHalf('35'),
  vpmovdb: evexOnly('q{z}/mq{k}, v', 'F3.0F38.W0 31 /r', 'avx512f'),
  vpmovwb: evexOnly('h{z}/mh{k}, v', 'F3.0F38.W0 30 /r', 'avx512bw'),
  /** Narrows with saturation. */
  vpmovsdb: evexOnly('q{z}/mq{k}, v', 'F3.0F38.W0 21 /r', 'avx512f'),
  vpmovusdb: evexOnly('q{z}/mq{k}, v', 'F3.0F38.W0 11 /r', 'avx512f'),

  /** A mask's bits to lanes of all ones or zero, and back by the lanes' signs. */
  vpmovm2d: evexOnly('v, k', 'F3.0F38.W0 38 /r', 'avx512dq'),
  vpmovm2b: evexOnly('v, k', 'F3.0F38.W0 28 /r', 'avx512bw'),
  vpmovd2m: evexOnly('k, v', 'F3.0F38.W0 39 /r', 'avx512dq'),
  vpmovb2m: evexOnly('k, v', 'F3.0F38.W0 29 /r', 'avx512bw'),
  vcvtph2psx: evexOnly('v{z}, h/mh/b16', '66.MAP6.W0 13 /r', 'avx512_fp16'),
  vcvtps2phx: evexOnly('h{z}, v/mv/b32', '66.MAP5.W0 1D /r', 'avx512_fp16'),
  vmovw: either(
    form('xmm, r32/m16', 'EVEX.128.66.MAP5.W0 6E /r', 'avx512_fp16'),
    form('r32/m16, xmm', 'EVEX.128.66.MAP5.W0 7E /r', 'avx512_fp16'),
  ),
} as const;
