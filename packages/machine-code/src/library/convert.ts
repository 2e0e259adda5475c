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

const isZmm = (register: Zmm | Ymm): register is Zmm => register.kind === 'zmm';
