import type { KernelBuilder, Memory, Ymm, Zmm } from '@flash-mla/machine-code';

type Place = Memory<'gpr64'>;

/**
 * How numbers of e4m3 become f32, 1/256 of what they are: sign and magnitude are moved to where f16 has them, whose
 * exponent's bias is 8 more. NaN comes out as a number, so the largest magnitude of each row of weights is kept: a
 * NaN among them makes all of the row's sums NaN, whatever it is multiplied with.
 */
export interface E4m3Steps<V extends Zmm | Ymm> {
  /** Numbers that a step takes: one vector or two. */
  readonly vectors: 1 | 2;
  /** Decodes a step of numbers; hands over each vector of them in turn, in a register that it overwrites. */
  decode(from: Place, largest: V, each: (vector: V, index: number) => void): void;
  /** Runs `then` if NaN was among the numbers; overwrites their largest magnitude. */
  ifNaN(largest: V, then: () => void): void;
}

/** The magnitude of a code, in each word of 16 bits; that of NaN is the largest. */
const magnitude = 0x7f;
/** Sign and magnitude where f16 has them. */
const f16Bits = 0xbf80;

export function zmmSteps(k: KernelBuilder): E4m3Steps<Zmm> {
  return {
    vectors: 2,
    decode(from, largest, each) {
      k.scope(() => {
        const [words, x] = k.zmms('e4m3', 2) as [Zmm, Zmm];
        k.vpmovsxbw(words, from);
        k.vpandd(x, words, k.constant.u32(magnitude * 0x10001).broadcast());
        k.vpmaxub(largest, largest, x);
        k.vpsllw(words, words, 7);
        k.vpandd(words, words, k.constant.u32(f16Bits * 0x10001).broadcast());
        k.vcvtph2ps(x, words.ymm);
        each(x, 0);
        k.vextracti64x4(words.ymm, words, 1);
        k.vcvtph2ps(x, words.ymm);
        each(x, 1);
      });
    },
    ifNaN(largest, then) {
      k.scope(() => {
        const found = k.mask('found');
        k.vpcmpeqw(found, largest, k.constant.u16(new Array<number>(32).fill(magnitude)));
        k.kortestd(found, found);
        k.if(k.flags('ne'), then);
      });
    },
  };
}

export function ymmSteps(k: KernelBuilder): E4m3Steps<Ymm> {
  const words = (value: number) => k.constant.u16(new Array<number>(8).fill(value));
  return {
    vectors: 1,
    decode(from, largest, each) {
      k.scope(() => {
        const [x, spare] = k.ymms('e4m3', 2) as [Ymm, Ymm];
        k.vpmovsxbw(x.xmm, from);
        k.vpand(spare.xmm, x.xmm, words(magnitude));
        k.vpmaxub(largest.xmm, largest.xmm, spare.xmm);
        k.vpsllw(x.xmm, x.xmm, 7);
        k.vpand(x.xmm, x.xmm, words(f16Bits));
        k.vcvtph2ps(x, x.xmm);
        each(x, 0);
      });
    },
    ifNaN(largest, then) {
      k.scope(() => {
        const found = k.gpr('found');
        k.vpcmpeqw(largest.xmm, largest.xmm, words(magnitude));
        k.vpmovmskb(found.low32, largest.xmm);
        k.test(found.low32, found.low32);
        k.if(k.flags('ne'), then);
      });
    },
  };
}
