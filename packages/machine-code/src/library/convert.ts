import type { KernelBuilder } from '../builder/kernel.ts';
import type { Memory } from '../operands/memory.ts';
import type { Ymm, Zmm } from '../registers/vector.ts';

/** Loads 16 (zmm) or 8 (ymm) bf16 numbers from memory as f32: exact. */
export function loadBf16(k: KernelBuilder, to: Zmm | Ymm, from: Memory<'gpr64'>): void {
  if (isZmm(to)) {
    k.vpmovzxwd(to, from);
    k.vpslld(to, to, 16);
  } else {
    k.vpmovzxwd(to, from);
    k.vpslld(to, to, 16);
  }
}

/** Loads 16 (zmm) or 8 (ymm) f16 numbers from memory as f32: exact. */
export function loadF16(k: KernelBuilder, to: Zmm | Ymm, from: Memory<'gpr64'>): void {
  if (isZmm(to)) k.vcvtph2ps(to, from);
  else k.vcvtph2ps(to, from);
}

/**
 * 16 f32 numbers as bf16, to nearest, ties to even; NaN gives a quiet NaN. Unlike `vcvtneps2bf16` it keeps
 * denormal numbers and needs `avx512f` only. Takes a mask and a register; `from` is overwritten.
 */
export function roundToBf16(k: KernelBuilder, to: Ymm, from: Zmm): void {
  k.scope(() => {
    const nan = k.mask('nan');
    const odd = k.zmm('odd');
    const unordered = 3;
    k.vcmpps(nan, from, from, unordered);
    // Half of the last place, less one where the upper half is even: ties go to even.
    k.vpsrld(odd, from, 16);
    k.vpandd(odd, odd, k.constant.u32(1).broadcast());
    k.vpaddd(from, from, k.constant.u32(0x7fff).broadcast());
    k.vpaddd(from, from, odd);
    k.vpsrld(from, from, 16);
    k.vpbroadcastd(from.masked(nan), k.constant.u32(0x7fc0));
    k.vpmovdw(to, from);
  });
}

/**
 * Loads 16 e4m3 numbers from memory as f32: exact, 0x7f and 0xff give NaN. By way of f16, whose denormal
 * numbers cost no time. Needs `avx512bw` and `avx512vl`; takes two registers and a mask.
 */
export function loadE4m3Zmm(k: KernelBuilder, to: Zmm, from: Memory<'gpr64'>): void {
  k.scope(() => {
    const words = k.ymm('words');
    const sign = k.ymm('sign');
    const nan = k.mask('nan');
    k.vpmovzxbw(words, from);
    k.vpsllw(sign, words, 8);
    k.vpsllw(words, words, 7);
    // The exponent keeps e4m3's bias, which is 8 less: the product with 256 makes that good.
    k.vpandd(words, words, k.constant.u32(0x3f803f80).broadcast());
    k.vpcmpeqw(nan, words, k.constant.u16(new Array<number>(16).fill(0x3f80)));
    k.vpandd(sign, sign, k.constant.u32(0x80008000).broadcast());
    k.vpord(words, words, sign);
    k.vmovdqu16(words.masked(nan), k.constant.u16(new Array<number>(16).fill(0x7e00)));
    k.vcvtph2ps(to, words);
    k.vmulps(to, to, k.constant.f32(256).broadcast());
  });
}

/** As {@link loadE4m3Zmm}, of 8 numbers with AVX2 and F16C. Takes three registers. */
export function loadE4m3Ymm(k: KernelBuilder, to: Ymm, from: Memory<'gpr64'>): void {
  const words = (value: number) => k.constant.u16(new Array<number>(8).fill(value));
  k.scope(() => {
    const [value, sign, nan] = k.xmms('e4m3', 3);
    k.vpmovzxbw(value, from);
    k.vpsllw(sign, value, 8);
    k.vpsllw(value, value, 7);
    k.vpand(value, value, words(0x3f80));
    k.vpcmpeqw(nan, value, words(0x3f80));
    k.vpsrlw(nan, nan, 1); // 0x7fff: all ones of exponent and fraction
    k.vpor(value, value, nan);
    k.vpand(sign, sign, words(0x8000));
    k.vpor(value, value, sign);
    k.vcvtph2ps(to, value);
    k.vmulps(to, to, k.constant.f32(new Array<number>(8).fill(256)));
  });
}

/** Of numbers in e4m3: the largest one, the least that is not subnormal, and its exponent's bias in f32's place. */
const e4m3 = { largest: 448, leastNormal: 2 ** -6, bias: (127 - 7) << 3 };
/** f32: what is added here is rounded to multiples of 2^-9, the unit of subnormal codes. */
const unitOfSubnormal = 2 ** 14;
const unitBits = 0x46800000;

/**
 * Stores 16 (zmm) or 8 (ymm) f32 numbers as e4m3: to nearest, ties to even, beyond ±448 that; NaN gives 0x7f.
 * `from` is overwritten. Takes three registers and two masks (zmm: needs `avx512bw` and `avx512vl`), or four.
 */
export function storeE4m3(k: KernelBuilder, to: Memory<'gpr64'>, from: Zmm | Ymm): void {
  if (isZmm(from)) storeE4m3Zmm(k, to, from);
  else storeE4m3Ymm(k, to, from);
}

const unordered = 3;
const less = 1;

function storeE4m3Zmm(k: KernelBuilder, to: Memory<'gpr64'>, from: Zmm): void {
  k.scope(() => {
    const [sign, low, odd] = k.zmms('e4m3', 3) as [Zmm, Zmm, Zmm];
    const [nan, small] = [k.mask('nan'), k.mask('small')];
    k.vcmpps(nan, from, from, unordered);
    k.vpsrld(sign, from, 24);
    k.vpandd(sign, sign, k.constant.u32(0x80).broadcast());
    k.vpandd(from, from, k.constant.u32(0x7fffffff).broadcast());
    k.vminps(from, from, k.constant.f32(e4m3.largest).broadcast());
    k.vaddps(low, from, k.constant.f32(unitOfSubnormal).broadcast());
    k.vpsubd(low, low, k.constant.u32(unitBits).broadcast());
    k.vcmpps(small, from, k.constant.f32(e4m3.leastNormal).broadcast(), less);
    k.vpsrld(odd, from, 20);
    k.vpandd(odd, odd, k.constant.u32(1).broadcast());
    k.vpaddd(from, from, k.constant.u32(0x7ffff).broadcast());
    k.vpaddd(from, from, odd);
    k.vpsrld(from, from, 20);
    k.vpsubd(from, from, k.constant.u32(e4m3.bias).broadcast());
    k.vmovaps(from.masked(small), low);
    k.vpord(from, from, sign);
    k.vpbroadcastd(from.masked(nan), k.constant.u32(0x7f));
    k.vpmovdb(to, from);
  });
}

function storeE4m3Ymm(k: KernelBuilder, to: Memory<'gpr64'>, from: Ymm): void {
  const all = (value: number) => k.constant.u32(new Array<number>(8).fill(value));
  const floats = (value: number) => k.constant.f32(new Array<number>(8).fill(value));
  k.scope(() => {
    const [nan, sign, low, small] = k.ymms('e4m3', 4) as [Ymm, Ymm, Ymm, Ymm];
    k.vcmpps(nan, from, from, unordered);
    k.vpsrld(sign, from, 24);
    k.vpand(sign, sign, all(0x80));
    k.vpand(from, from, all(0x7fffffff));
    k.vminps(from, from, floats(e4m3.largest));
    k.vaddps(low, from, floats(unitOfSubnormal));
    k.vpsubd(low, low, all(unitBits));
    k.vcmpps(small, from, floats(e4m3.leastNormal), less);
    const normal = from;
    const odd = k.ymm('odd');
    k.vpsrld(odd, normal, 20);
    k.vpand(odd, odd, all(1));
    k.vpaddd(normal, normal, all(0x7ffff));
    k.vpaddd(normal, normal, odd);
    k.vpsrld(normal, normal, 20);
    k.vpsubd(normal, normal, all(e4m3.bias));
    k.vblendvps(from, normal, low, small);
    k.vpor(from, from, sign);
    k.vmovaps(low, all(0x7f));
    k.vblendvps(from, from, low, nan);
    k.vextracti128(low.xmm, from, 1);
    k.vpackusdw(from.xmm, from.xmm, low.xmm);
    k.vpackuswb(from.xmm, from.xmm, from.xmm);
    k.vmovq(to, from.xmm);
  });
}

/** Stores 16 (zmm) or 8 (ymm) f32 numbers as bf16, as {@link roundToBf16} rounds; overwrites them. */
export function storeBf16(k: KernelBuilder, to: Memory<'gpr64'>, from: Zmm | Ymm): void {
  if (isZmm(from)) {
    k.scope(() => {
      const rounded = k.ymm('rounded');
      roundToBf16(k, rounded, from);
      k.vmovdqu32(to, rounded);
    });
    return;
  }
  const all = (value: number) => k.constant.u32(new Array<number>(8).fill(value));
  k.scope(() => {
    const [nan, odd] = k.ymms('bf16', 2) as [Ymm, Ymm];
    k.vcmpps(nan, from, from, unordered);
    k.vpsrld(odd, from, 16);
    k.vpand(odd, odd, all(1));
    k.vpaddd(from, from, all(0x7fff));
    k.vpaddd(from, from, odd);
    k.vpsrld(from, from, 16);
    k.vmovaps(odd, all(0x7fc0));
    k.vblendvps(from, from, odd, nan);
    k.vextracti128(odd.xmm, from, 1);
    k.vpackusdw(from.xmm, from.xmm, odd.xmm);
    k.vmovdqu(to, from.xmm);
  });
}

const isZmm = (register: Zmm | Ymm): register is Zmm => register.kind === 'zmm';
