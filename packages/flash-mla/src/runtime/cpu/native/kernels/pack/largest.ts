import type { Gpr64, KernelBuilder, Memory, Ymm, Zmm } from '@flash-mla/machine-code';

const magnitude = 0x7fff;
const isZmm = (register: Zmm | Ymm): register is Zmm => register.kind === 'zmm';

/** Raises lanes to the magnitudes of bf16 numbers in memory, as integers: those of NaN are above all others. */
export function raiseLargest(k: KernelBuilder, largest: Zmm | Ymm, from: Memory<'gpr64'>): void {
  k.scope(() => {
    if (isZmm(largest)) {
      const x = k.zmm('magnitudes');
      k.vpmovzxwd(x, from);
      k.vpandd(x, x, k.constant.u32(magnitude).broadcast());
      k.vpmaxsd(largest, largest, x);
    } else {
      const x = k.ymm('magnitudes');
      k.vpmovzxwd(x, from);
      k.vpand(x, x, k.constant.u32(new Array<number>(8).fill(magnitude)));
      k.vpmaxsd(largest, largest, x);
    }
  });
}

/** The largest integer of all lanes, none of which is negative; overwrites them. */
export function largestOfLanes(k: KernelBuilder, to: Gpr64, largest: Zmm | Ymm): void {
  k.scope(() => {
    const rest = k.ymm('rest');
    if (isZmm(largest)) {
      k.vextracti64x4(rest, largest, 1);
      k.vpmaxsd(largest.ymm, largest.ymm, rest);
    }
    const top = largest.xmm;
    if (isZmm(largest)) k.vextracti32x4(rest.xmm, largest.ymm, 1);
    else k.vextracti128(rest.xmm, largest, 1);
    k.vpmaxsd(top, top, rest.xmm);
    for (const swapped of [0x4e, 0xb1]) {
      k.vpshufd(rest.xmm, top, swapped);
      k.vpmaxsd(top, top, rest.xmm);
    }
    k.vmovd(to.low32, top);
  });
}
