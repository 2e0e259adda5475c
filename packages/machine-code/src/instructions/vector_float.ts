import type { Feature } from '../features/feature.ts';
import { avx, either, evexOnly, fma, form, lowest, packed, vexOnly } from './form.ts';

const ps = (opcode: string) => packed('v{z}, v, v/mv/b32', `NP.0F.W0 ${opcode} /r`, avx, 'avx512f');
const pd = (opcode: string) =>
  packed('v{z}, v, v/mv/b64', `66.0F.W0|W1 ${opcode} /r`, avx, 'avx512f');
const ss = (opcode: string) =>
  lowest('xmm{z}, xmm, xmm/m32', `F3.0F.W0 ${opcode} /r`, 'avx', 'avx512f');
const sd = (opcode: string) =>
  lowest('xmm{z}, xmm, xmm/m64', `F2.0F.W0|W1 ${opcode} /r`, 'avx', 'avx512f');

const fmaPs = (opcode: string) =>
  packed('v{z}, v, v/mv/b32', `66.0F38.W0 ${opcode} /r`, fma, 'avx512f');
const fmaPd = (opcode: string) =>
  packed('v{z}, v, v/mv/b64', `66.0F38.W1 ${opcode} /r`, fma, 'avx512f');
const fmaSs = (opcode: string) =>
  lowest('xmm{z}, xmm, xmm/m32', `66.0F38.W0 ${opcode} /r`, 'fma', 'avx512f');

const unaryPs = (code: string, feature: Feature = 'avx512f') =>
  evexOnly('v{z}, v/mv/b32', `66.0F38.W0 ${code} /r`, feature);

/** Arithmetic on vectors of floats. */
export const vectorFloat = {
  vaddps: ps('58'),
  vsubps: ps('5C'),
  vmulps: ps('59'),
  vdivps: ps('5E'),
  vminps: ps('5D'),
  vmaxps: ps('5F'),
  vandps: packed('v{z}, v, v/mv/b32', 'NP.0F.W0 54 /r', avx, 'avx512dq'),
  vandnps: packed('v{z}, v, v/mv/b32', 'NP.0F.W0 55 /r', avx, 'avx512dq'),
  vorps: packed('v{z}, v, v/mv/b32', 'NP.0F.W0 56 /r', avx, 'avx512dq'),
  vxorps: packed('v{z}, v, v/mv/b32', 'NP.0F.W0 57 /r', avx, 'avx512dq'),
  vaddpd: pd('58'),
  vsubpd: pd('5C'),
  vmulpd: pd('59'),
  vdivpd: pd('5E'),
  vminpd: pd('5D'),
  vmaxpd: pd('5F'),
  vaddss: ss('58'),
  vsubss: ss('5C'),
  vmulss: ss('59'),
  vdivss: ss('5E'),
  vminss: ss('5D'),
  vmaxss: ss('5F'),
  vaddsd: sd('58'),
  vsubsd: sd('5C'),
  vmulsd: sd('59'),
  vdivsd: sd('5E'),
  vsqrtps: packed('v{z}, v/mv/b32', 'NP.0F.W0 51 /r', avx, 'avx512f'),
  vsqrtss: ss('51'),
  /** Neighbouring pairs of both inputs, added. */
  vhaddps: vexOnly('v, v, v/mv', 'F2.0F.W0 7C /r', avx),

  /** Fused, one rounding: the digits name the operands of product and sum. 132: d = d·c + b. */
  vfmadd132ps: fmaPs('98'),
  /** d = b·d + c */
  vfmadd213ps: fmaPs('A8'),
  /** d = b·c + d: what accumulates. */
  vfmadd231ps: fmaPs('B8'),
  vfmsub132ps: fmaPs('9A'),
  /** d = b·d − c */
  vfmsub213ps: fmaPs('AA'),
  vfmsub231ps: fmaPs('BA'),
  vfnmadd132ps: fmaPs('9C'),
  /** d = c − b·d */
  vfnmadd213ps: fmaPs('AC'),
  /** d = d − b·c */
  vfnmadd231ps: fmaPs('BC'),
  vfmadd132pd: fmaPd('98'),
  vfmadd213pd: fmaPd('A8'),
  vfmadd231pd: fmaPd('B8'),
  vfnmadd231pd: fmaPd('BC'),
  vfmadd132ss: fmaSs('99'),
  vfmadd213ss: fmaSs('A9'),
  vfmadd231ss: fmaSs('B9'),
  vfnmadd231ss: fmaSs('BD'),

  /** Rounds to integers that stay floats; the constant chooses how. AVX-512 has `vrndscaleps`. */
  vroundps: vexOnly('v, v/mv, uimm8', '66.0F3A.WIG 08 /r ib', avx),
  vroundss: form('xmm, xmm, xmm/m32, uimm8', 'VEX.128.66.0F3A.WIG 0A /r ib', 'avx'),
  vrndscaleps: evexOnly('v{z}, v/mv/b32, uimm8', '66.0F3A.W0 08 /r ib RM', 'avx512f'),
  /** What rounding would take away. */
  vreduceps: evexOnly('v{z}, v/mv/b32, uimm8', '66.0F3A.W0 56 /r ib RM', 'avx512dq'),
  /** b · 2^floor(c) */
  vscalefps: evexOnly('v{z}, v, v/mv/b32', '66.0F38.W0 2C /r', 'avx512f'),
  vgetexpps: unaryPs('42'),
  vgetmantps: evexOnly('v{z}, v/mv/b32, uimm8', '66.0F3A.W0 26 /r ib RM', 'avx512f'),
  /** Minimum or maximum with chosen rules for NaN and signs. */
  vrangeps: evexOnly('v{z}, v, v/mv/b32, uimm8', '66.0F3A.W0 50 /r ib', 'avx512dq'),
  /** 1/x to 14 bits. */
  vrcp14ps: unaryPs('4C'),
  /** 1/√x to 14 bits. */
  vrsqrt14ps: unaryPs('4E'),
  /** 1/x to 12 bits. */
  vrcpps: vexOnly('v, v/mv', 'NP.0F.WIG 53 /r', avx),
  vrsqrtps: vexOnly('v, v/mv', 'NP.0F.WIG 52 /r', avx),
  /** Adds the products of neighbouring bf16 pairs to f32 sums. */
  vdpbf16ps: evexOnly('v{z}, v, v/mv/b32', 'F3.0F38.W0 52 /r', 'avx512_bf16'),

  vaddph: evexOnly('v{z}, v, v/mv/b16', 'NP.MAP5.W0 58 /r', 'avx512_fp16'),
  vmulph: evexOnly('v{z}, v, v/mv/b16', 'NP.MAP5.W0 59 /r', 'avx512_fp16'),
  vmaxph: evexOnly('v{z}, v, v/mv/b16', 'NP.MAP5.W0 5F /r', 'avx512_fp16'),
  vfmadd231ph: evexOnly('v{z}, v, v/mv/b16', '66.MAP6.W0 B8 /r', 'avx512_fp16'),
  /** Compares and sets the flags as unsigned comparisons do; `jp` if either is NaN. */
  vucomiss: lowest('xmm, xmm/m32', 'NP.0F.W0 2E /r', 'avx', 'avx512f'),
  vcomiss: lowest('xmm, xmm/m32', 'NP.0F.W0 2F /r', 'avx', 'avx512f'),
  vucomisd: lowest('xmm, xmm/m64', '66.0F.W0|W1 2E /r', 'avx', 'avx512f'),
  /** Lanes to bits or to all-ones lanes: the constant chooses the comparison. */
  vcmpps: either(
    vexOnly('v, v, v/mv, uimm8', 'NP.0F.WIG C2 /r ib', avx),
    evexOnly('k{k}, v, v/mv/b32, uimm8', 'NP.0F.W0 C2 /r ib', 'avx512f'),
  ),
  vcmppd: either(
    vexOnly('v, v, v/mv, uimm8', '66.0F.WIG C2 /r ib', avx),
    evexOnly('k{k}, v, v/mv/b64, uimm8', '66.0F.W1 C2 /r ib', 'avx512f'),
  ),
  /** Which lanes are NaN, infinite, zero, …: the constant chooses. */
  vfpclassps: evexOnly('k{k}, v/mv/b32, uimm8', '66.0F3A.W0 66 /r ib RM', 'avx512dq'),
  vmovmskps: either(
    form('r32, xmm', 'VEX.128.NP.0F.WIG 50 /r', 'avx'),
    form('r32, ymm', 'VEX.256.NP.0F.WIG 50 /r', 'avx'),
  ),
} as const;
