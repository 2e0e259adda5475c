import type { Feature } from '../features/feature.ts';
import {
  avx,
  avx2,
  distinct,
  either,
  evexOnly,
  evexWide,
  form,
  lowest,
  packed,
  type VexFeatures,
  vexOnly,
} from './form.ts';

/** A load and a store that share their name. */
const whole = (load: string, store: string) =>
  either(
    packed('v{z}, v/mv', `${load} /r`, avx, 'avx512f'),
    packed('v{z}/mv{k}, v', `${store} /r`, avx, 'avx512f'),
  );
const wholeVex = (load: string, store: string) =>
  either(vexOnly('v, v/mv', `${load} /r`, avx), vexOnly('v/mv, v', `${store} /r`, avx));
const wholeEvex = (load: string, store: string, feature: Feature) =>
  either(
    evexOnly('v{z}, v/mv', `${load} /r`, feature),
    evexOnly('v{z}/mv{k}, v', `${store} /r`, feature),
  );
/** Loads and stores of which a vector's signs choose the lanes. */
const signed = (map: string, load: string, store: string, w: string, vex: VexFeatures) =>
  either(
    vexOnly('v, v, mv', `66.${map}.${w} ${load} /r`, vex),
    vexOnly('mv, v, v', `66.${map}.${w} ${store} /r MVR`, vex),
  );

const gathering = (opcode: string) =>
  distinct(
    either(
      form('xmm, vm32x, xmm', `VEX.128.66.0F38.W0 ${opcode} /r RMV`, 'avx2'),
      form('ymm, vm32y, ymm', `VEX.256.66.0F38.W0 ${opcode} /r RMV`, 'avx2'),
      form('xmm{!}, vm32x', `EVEX.128.66.0F38.W0 ${opcode} /r`, 'avx512f', 'avx512vl'),
      form('ymm{!}, vm32y', `EVEX.256.66.0F38.W0 ${opcode} /r`, 'avx512f', 'avx512vl'),
      form('zmm{!}, vm32z', `EVEX.512.66.0F38.W0 ${opcode} /r`, 'avx512f'),
    ),
  );

/** Copies of whole vectors, of single elements and of chosen lanes. */
export const vectorMoves = {
  vmovaps: whole('NP.0F.W0 28', 'NP.0F.W0 29'),
  vmovups: whole('NP.0F.W0 10', 'NP.0F.W0 11'),
  vmovupd: whole('66.0F.W0|W1 10', '66.0F.W0|W1 11'),
  vmovdqa: wholeVex('66.0F.WIG 6F', '66.0F.WIG 7F'),
  vmovdqu: wholeVex('F3.0F.WIG 6F', 'F3.0F.WIG 7F'),
  vmovdqa32: wholeEvex('66.0F.W0 6F', '66.0F.W0 7F', 'avx512f'),
  vmovdqu8: wholeEvex('F2.0F.W0 6F', 'F2.0F.W0 7F', 'avx512bw'),
  vmovdqu16: wholeEvex('F2.0F.W1 6F', 'F2.0F.W1 7F', 'avx512bw'),
  vmovdqu32: wholeEvex('F3.0F.W0 6F', 'F3.0F.W0 7F', 'avx512f'),
  vmovdqu64: wholeEvex('F3.0F.W1 6F', 'F3.0F.W1 7F', 'avx512f'),
  /** Stores past the caches; `sfence` before others may read. */
  vmovntps: packed('mv, v', 'NP.0F.W0 2B /r', avx, 'avx512f'),
  vmovntdq: packed('mv, v', '66.0F.W0 E7 /r', avx, 'avx512f'),
  vmovntdqa: packed('v, mv', '66.0F38.W0 2A /r', avx2, 'avx512f'),
  vmovss: either(
    lowest('xmm{z}, m32', 'F3.0F.W0 10 /r', 'avx', 'avx512f'),
    lowest('m32{k}, xmm', 'F3.0F.W0 11 /r', 'avx', 'avx512f'),
    lowest('xmm{z}, xmm, xmm', 'F3.0F.W0 10 /r', 'avx', 'avx512f'),
    lowest('xmm{z}, xmm, xmm', 'F3.0F.W0 11 /r MVR', 'avx', 'avx512f'),
  ),
  vmovsd: either(
    lowest('xmm{z}, m64', 'F2.0F.W0|W1 10 /r', 'avx', 'avx512f'),
    lowest('m64{k}, xmm', 'F2.0F.W0|W1 11 /r', 'avx', 'avx512f'),
    lowest('xmm{z}, xmm, xmm', 'F2.0F.W0|W1 10 /r', 'avx', 'avx512f'),
    lowest('xmm{z}, xmm, xmm', 'F2.0F.W0|W1 11 /r MVR', 'avx', 'avx512f'),
  ),
  vmovd: either(
    lowest('xmm, r32/m32', '66.0F.W0 6E /r', 'avx', 'avx512f'),
    lowest('r32/m32, xmm', '66.0F.W0 7E /r', 'avx', 'avx512f'),
  ),
  vmovq: either(
    form('xmm, xmm/m64', 'VEX.128.F3.0F.WIG 7E /r', 'avx'),
    form('xmm/m64, xmm', 'VEX.128.66.0F.WIG D6 /r', 'avx'),
    form('xmm, r64', 'VEX.128.66.0F.W1 6E /r', 'avx'),
    form('r64, xmm', 'VEX.128.66.0F.W1 7E /r MR', 'avx'),
    form('xmm, xmm', 'EVEX.128.F3.0F.W1 7E /r', 'avx512f'),
    form('xmm, r64/m64', 'EVEX.128.66.0F.W1 6E /r', 'avx512f'),
    form('r64/m64, xmm', 'EVEX.128.66.0F.W1 7E /r', 'avx512f'),
  ),
  vmaskmovps: signed('0F38', '2C', '2E', 'W0', avx),
  vpmaskmovd: signed('0F38', '8C', '8E', 'W0', ['avx2', 'avx2']),
  /** Lanes of the second input where the mask is 1, of the first elsewhere. */
  vblendmps: evexOnly('v{z}, v, v/mv/b32', '66.0F38.W0 65 /r', 'avx512f'),
  vpblendmd: evexOnly('v{z}, v, v/mv/b32', '66.0F38.W0 64 /r', 'avx512f'),
  vpblendmw: evexOnly('v{z}, v, v/mv', '66.0F38.W1 66 /r', 'avx512bw'),
  vblendps: vexOnly('v, v, v/mv, uimm8', '66.0F3A.WIG 0C /r ib', avx),
  vpblendd: vexOnly('v, v, v/mv, uimm8', '66.0F3A.W0 02 /r ib', ['avx2', 'avx2']),
  vpblendw: vexOnly('v, v, v/mv, uimm8', '66.0F3A.WIG 0E /r ib', avx2),
  /** Lanes of the second input where the last operand's sign is set, of the first elsewhere. */
  vblendvps: vexOnly('v, v, v/mv, v', '66.0F3A.W0 4A /r /is4', avx),
  vpblendvb: vexOnly('v, v, v/mv, v', '66.0F3A.W0 4C /r /is4', avx2),
  /** The chosen lanes, moved together. */
  vcompressps: evexOnly('v{z}/mv{k}, v', '66.0F38.W0 8A /r N4', 'avx512f'),
  /** Successive elements, spread to the chosen lanes. */
  vexpandps: evexOnly('v{z}, v/mv', '66.0F38.W0 88 /r N4', 'avx512f'),

  vbroadcastss: either(
    form('xmm, xmm', 'VEX.128.66.0F38.W0 18 /r', 'avx2'),
    form('ymm, xmm', 'VEX.256.66.0F38.W0 18 /r', 'avx2'),
    form('xmm, m32', 'VEX.128.66.0F38.W0 18 /r', 'avx'),
    form('ymm, m32', 'VEX.256.66.0F38.W0 18 /r', 'avx'),
    evexOnly('v{z}, xmm/m32', '66.0F38.W0 18 /r', 'avx512f'),
  ),
  vbroadcastsd: either(
    form('ymm, xmm', 'VEX.256.66.0F38.W0 19 /r', 'avx2'),
    form('ymm, m64', 'VEX.256.66.0F38.W0 19 /r', 'avx'),
    evexWide('v{z}, xmm/m64', '66.0F38.W1 19 /r', 'avx512f'),
  ),
  vbroadcastf128: form('ymm, m128', 'VEX.256.66.0F38.W0 1A /r', 'avx'),
  vbroadcasti128: form('ymm, m128', 'VEX.256.66.0F38.W0 5A /r', 'avx2'),
  vbroadcastf32x4: evexWide('v{z}, m128', '66.0F38.W0 1A /r', 'avx512f'),
  vbroadcasti32x4: evexWide('v{z}, m128', '66.0F38.W0 5A /r', 'avx512f'),
  vbroadcasti64x4: form('zmm{z}, m256', 'EVEX.512.66.0F38.W1 5B /r', 'avx512f'),
  vpbroadcastb: either(
    vexOnly('v, xmm/m8', '66.0F38.W0 78 /r', ['avx2', 'avx2']),
    evexOnly('v{z}, xmm/m8', '66.0F38.W0 78 /r', 'avx512bw'),
    evexOnly('v{z}, r32', '66.0F38.W0 7A /r', 'avx512bw'),
  ),
  vpbroadcastw: either(
    vexOnly('v, xmm/m16', '66.0F38.W0 79 /r', ['avx2', 'avx2']),
    evexOnly('v{z}, xmm/m16', '66.0F38.W0 79 /r', 'avx512bw'),
    evexOnly('v{z}, r32', '66.0F38.W0 7B /r', 'avx512bw'),
  ),
  vpbroadcastd: either(
    vexOnly('v, xmm/m32', '66.0F38.W0 58 /r', ['avx2', 'avx2']),
    evexOnly('v{z}, xmm/m32', '66.0F38.W0 58 /r', 'avx512f'),
    evexOnly('v{z}, r32', '66.0F38.W0 7C /r', 'avx512f'),
  ),
  vpbroadcastq: either(
    vexOnly('v, xmm/m64', '66.0F38.W0 59 /r', ['avx2', 'avx2']),
    evexOnly('v{z}, xmm/m64', '66.0F38.W1 59 /r', 'avx512f'),
    evexOnly('v{z}, r64', '66.0F38.W1 7C /r', 'avx512f'),
  ),
  /** Reads an element at each offset of the index vector; the mask is cleared as they arrive. */
  vgatherdps: gathering('92'),
  vpgatherdd: gathering('90'),
  vpscatterdd: form('vm32z{!}, zmm', 'EVEX.512.66.0F38.W0 A0 /r MR', 'avx512f'),
  /** Clears the upper halves, so that other code's 128-bit instructions run at full speed. */
  vzeroupper: form('', 'VEX.128.NP.0F.WIG 77', 'avx'),
  vzeroall: form('', 'VEX.256.NP.0F.WIG 77', 'avx'),
  vlddqu: vexOnly('v, mv', 'F2.0F.WIG F0 /r', avx),
  vmovshdup: packed('v{z}, v/mv', 'F3.0F.W0 16 /r', avx, 'avx512f'),
  vmovsldup: packed('v{z}, v/mv', 'F3.0F.W0 12 /r', avx, 'avx512f'),
  vmovhlps: lowest('xmm, xmm, xmm', 'NP.0F.W0 12 /r', 'avx', 'avx512f'),
  vmovlhps: lowest('xmm, xmm, xmm', 'NP.0F.W0 16 /r', 'avx', 'avx512f'),
} as const;
