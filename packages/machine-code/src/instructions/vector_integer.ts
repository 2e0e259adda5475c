import type { Feature } from '../features/feature.ts';
import { avx, avx2, either, evexOnly, form, packed, type VexFeatures, vexOnly } from './form.ts';

/** Bytes and words, which AVX-512 does not broadcast. */
const narrow = (code: string, vex: VexFeatures = avx2) =>
  packed('v{z}, v, v/mv', `66.${code} /r`, vex, 'avx512bw');
const d = (code: string) => packed('v{z}, v, v/mv/b32', `66.${code} /r`, avx2, 'avx512f');
const q = (code: string) => packed('v{z}, v, v/mv/b64', `66.${code} /r`, avx2, 'avx512f');
const evexD = (code: string, feature: Feature = 'avx512f') =>
  evexOnly('v{z}, v, v/mv/b32', `66.${code} /r`, feature);
const evexQ = (code: string) => evexOnly('v{z}, v, v/mv/b64', `66.${code} /r`, 'avx512f');
const plain = (code: string) => vexOnly('v, v, v/mv', `66.${code} /r`, avx2);

/** Shifts by a constant, and by the low 64 bits of a vector. */
const shiftD = (digit: number, opcode: string) =>
  either(
    vexOnly('v, v, uimm8', `66.0F.WIG 72 /${digit} ib`, avx2),
    packed('v{z}, v, xmm/m128', `66.0F.W0 ${opcode} /r`, avx2, 'avx512f'),
    evexOnly('v{z}, v/mv/b32, uimm8', `66.0F.W0 72 /${digit} ib`, 'avx512f'),
  );
const shiftQ = (digit: number, opcode: string) =>
  either(
    vexOnly('v, v, uimm8', `66.0F.WIG 73 /${digit} ib`, avx2),
    packed('v{z}, v, xmm/m128', `66.0F.WIG|W1 ${opcode} /r`, avx2, 'avx512f'),
    evexOnly('v{z}, v/mv/b64, uimm8', `66.0F.W1 73 /${digit} ib`, 'avx512f'),
  );
const shiftW = (digit: number, opcode: string) =>
  either(
    vexOnly('v, v, uimm8', `66.0F.WIG 71 /${digit} ib`, avx2),
    packed('v{z}, v, xmm/m128', `66.0F.WIG ${opcode} /r`, avx2, 'avx512bw'),
    evexOnly('v{z}, v/mv, uimm8', `66.0F.WIG 71 /${digit} ib`, 'avx512bw'),
  );
/** Shifts of whole 128-bit lanes by bytes. */
const shiftBytes = (digit: number) =>
  either(
    vexOnly('v, v, uimm8', `66.0F.WIG 73 /${digit} ib`, avx2),
    evexOnly('v, v/mv, uimm8', `66.0F.WIG 73 /${digit} ib`, 'avx512bw'),
  );

const masks = (code: string, feature: Feature) =>
  evexOnly('k{k}, v, v/mv', `66.${code} /r`, feature);
const masksD = (code: string) => evexOnly('k{k}, v, v/mv/b32', `66.${code} /r`, 'avx512f');
const masksQ = (code: string) => evexOnly('k{k}, v, v/mv/b64', `66.${code} /r`, 'avx512f');
const comparing = (opcode: string) =>
  evexOnly('k{k}, v, v/mv/b32, uimm8', `66.0F3A.W0 ${opcode} /r ib`, 'avx512f');
const comparingNarrow = (opcode: string, w: string) =>
  evexOnly('k{k}, v, v/mv, uimm8', `66.0F3A.${w} ${opcode} /r ib`, 'avx512bw');

/** Arithmetic, logic, shifts and comparisons on vectors of integers. */
export const vectorInteger = {
  vpaddb: narrow('0F.WIG FC'),
  vpaddw: narrow('0F.WIG FD'),
  vpaddd: d('0F.W0 FE'),
  vpaddq: q('0F.WIG|W1 D4'),
  vpsubb: narrow('0F.WIG F8'),
  vpsubw: narrow('0F.WIG F9'),
  vpsubd: d('0F.W0 FA'),
  vpsubq: q('0F.WIG|W1 FB'),
  vpmullw: narrow('0F.WIG D5'),
  vpmulhw: narrow('0F.WIG E5'),
  vpmulhuw: narrow('0F.WIG E4'),
  vpmulld: d('0F38.W0 40'),
  vpmuldq: q('0F38.WIG|W1 28'),
  vpmuludq: q('0F.WIG|W1 F4'),
  /** Adds products of neighbouring words. */
  vpmaddwd: narrow('0F.WIG F5'),
  vpmaddubsw: narrow('0F38.WIG 04'),
  vpabsd: packed('v{z}, v/mv/b32', '66.0F38.W0 1E /r', avx2, 'avx512f'),
  vpminsd: d('0F38.W0 39'),
  vpmaxsd: d('0F38.W0 3D'),
  vpminud: d('0F38.W0 3B'),
  vpmaxud: d('0F38.W0 3F'),
  vpminub: narrow('0F.WIG DA'),
  vpmaxub: narrow('0F.WIG DE'),
  vpminsw: narrow('0F.WIG EA'),
  vpmaxsw: narrow('0F.WIG EE'),

  vpand: plain('0F.WIG DB'),
  vpandn: plain('0F.WIG DF'),
  vpor: plain('0F.WIG EB'),
  vpxor: plain('0F.WIG EF'),
  vpandd: evexD('0F.W0 DB'),
  vpandq: evexQ('0F.W1 DB'),
  vpandnd: evexD('0F.W0 DF'),
  vpandnq: evexQ('0F.W1 DF'),
  vpord: evexD('0F.W0 EB'),
  vporq: evexQ('0F.W1 EB'),
  vpxord: evexD('0F.W0 EF'),
  vpxorq: evexQ('0F.W1 EF'),
  /** Any bitwise function: bit (d·4 + b·2 + c) of the constant is the result. */
  vpternlogd: evexOnly('v{z}, v, v/mv/b32, uimm8', '66.0F3A.W0 25 /r ib', 'avx512f'),
  vpternlogq: evexOnly('v{z}, v, v/mv/b64, uimm8', '66.0F3A.W1 25 /r ib', 'avx512f'),

  vpsllw: shiftW(6, 'F1'),
  vpsrlw: shiftW(2, 'D1'),
  vpsraw: shiftW(4, 'E1'),
  vpslld: shiftD(6, 'F2'),
  vpsrld: shiftD(2, 'D2'),
  vpsrad: shiftD(4, 'E2'),
  vpsllq: shiftQ(6, 'F3'),
  vpsrlq: shiftQ(2, 'D3'),
  vpslldq: shiftBytes(7),
  vpsrldq: shiftBytes(3),
  /** Each lane by its own count. */
  vpsllvd: d('0F38.W0 47'),
  vpsrlvd: d('0F38.W0 45'),
  vpsravd: d('0F38.W0 46'),
  vpsllvw: evexOnly('v{z}, v, v/mv', '66.0F38.W1 12 /r', 'avx512bw'),
  vpsrlvw: evexOnly('v{z}, v, v/mv', '66.0F38.W1 10 /r', 'avx512bw'),
  vprold: evexOnly('v{z}, v/mv/b32, uimm8', '66.0F.W0 72 /1 ib', 'avx512f'),
  /** Sums of four products of unsigned and signed bytes, added to 32 bits. */
  vpdpbusd: evexD('0F38.W0 50', 'avx512_vnni'),
  vpdpwssd: evexD('0F38.W0 52', 'avx512_vnni'),
  vplzcntd: evexOnly('v{z}, v/mv/b32', '66.0F38.W0 44 /r', 'avx512cd'),

  vpcmpeqb: either(plain('0F.WIG 74'), masks('0F.WIG 74', 'avx512bw')),
  vpcmpeqw: either(plain('0F.WIG 75'), masks('0F.WIG 75', 'avx512bw')),
  vpcmpeqd: either(plain('0F.WIG 76'), masksD('0F.W0 76')),
  vpcmpeqq: either(plain('0F38.WIG 29'), masksQ('0F38.W1 29')),
  vpcmpgtb: either(plain('0F.WIG 64'), masks('0F.WIG 64', 'avx512bw')),
  vpcmpgtw: either(plain('0F.WIG 65'), masks('0F.WIG 65', 'avx512bw')),
  vpcmpgtd: either(plain('0F.WIG 66'), masksD('0F.W0 66')),
  vpcmpd: comparing('1F'),
  vpcmpud: comparing('1E'),
  vpcmpb: comparingNarrow('3F', 'W0'),
  vpcmpub: comparingNarrow('3E', 'W0'),
  vpcmpw: comparingNarrow('3F', 'W1'),
  vpcmpuw: comparingNarrow('3E', 'W1'),
  /** Bits of lanes whose bitwise and is not zero. */
  vptestmd: masksD('0F38.W0 27'),
  vptestnmd: evexOnly('k{k}, v, v/mv/b32', 'F3.0F38.W0 27 /r', 'avx512f'),
  vptestmb: masks('0F38.W0 26', 'avx512bw'),
  vptest: vexOnly('v, v/mv', '66.0F38.WIG 17 /r', avx),
  vpmovmskb: either(
    form('r32, xmm', 'VEX.128.66.0F.WIG D7 /r', 'avx'),
    form('r32, ymm', 'VEX.256.66.0F.WIG D7 /r', 'avx2'),
  ),
} as const;
