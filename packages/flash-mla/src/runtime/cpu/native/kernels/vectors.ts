import {
  exp2Ymm,
  exp2Zmm,
  type KernelBuilder,
  loadBf16,
  type Memory,
  sumOfLanes,
  type Ymm,
  type Zmm,
} from '@flash-mla/machine-code';

type Place = Memory<'gpr64'>;

/** Arithmetic on vectors of f32, with the registers of AVX-512 or of AVX2. */
export interface Vectors<V extends Zmm | Ymm> {
  /** Numbers in a vector. */
  readonly lanes: 16 | 8;
  take(name: string, count: number): V[];
  zero(x: V): void;
  load(x: V, from: Place): void;
  /** Numbers of bf16 as f32. */
  loadBf16(x: V, from: Place): void;
  store(to: Place, x: V): void;
  /** sum += a · b */
  addProduct(sum: V, a: V, b: V): void;
  /** Stores the sum of all lanes; overwrites them. */
  storeSum(to: Place, x: V): void;
  /** One number of memory in all lanes. */
  broadcast(x: V, from: Place): void;
  add(to: V, a: V, b: V): void;
  subtract(to: V, a: V, b: V): void;
  multiply(to: V, a: V, b: V | Place): void;
  /** The larger one of each lane; `b` where either is NaN. */
  max(to: V, a: V, b: V): void;
  /** x where it differs from −∞, else 0; `unequal` is overwritten. */
  finiteOrZero(to: V, x: V, lowest: V): void;
  /** top = top where that is above old + 8, else old; `spare` is overwritten. */
  keepUnlessHigher(top: V, old: V, spare: V): void;
  /** x = 2^x */
  exp2(x: V): void;
  /** sums[i] += element · factors[i], one number of memory times vectors. */
  addProducts(sums: readonly V[], factors: readonly V[], element: Place): void;
  /** Lanes whose integer in `limits` is at most `position` become −∞. */
  hideBeyond(x: V, limits: V, position: V, lowest: V): void;
  addIntegers(to: V, a: V, b: V): void;
}

export function zmmVectors(k: KernelBuilder): Vectors<Zmm> {
  return {
    lanes: 16,
    take: (name, count) => k.zmms(name, count),
    zero: (x) => k.vpxord(x, x, x),
    load: (x, from) => k.vmovups(x, from),
    loadBf16: (x, from) => loadBf16(k, x, from),
    store: (to, x) => k.vmovups(to, x),
    addProduct: (sum, a, b) => k.vfmadd231ps(sum, a, b),
    storeSum: (to, x) => k.vmovss(to, sumOfLanes(k, [x])),
    broadcast: (x, from) => k.vbroadcastss(x, from),
    add: (to, a, b) => k.vaddps(to, a, b),
    subtract: (to, a, b) => k.vsubps(to, a, b),
    multiply: (to, a, b) => k.vmulps(to, a, b),
    max: (to, a, b) => k.vmaxps(to, a, b),
    finiteOrZero(to, x, lowest) {
      k.scope(() => {
        const finite = k.mask('finite');
        k.vcmpps(finite, x, lowest, notEqual);
        k.vmovaps(to.zeroMasked(finite), x);
      });
    },
    keepUnlessHigher(top, old, spare) {
      k.scope(() => {
        const kept = k.mask('kept');
        k.vaddps(spare, old, k.constant.f32(8).broadcast());
        k.vcmpps(kept, top, spare, notGreater);
        k.vmovaps(top.masked(kept), old);
      });
    },
    exp2: (x) => exp2Zmm(k, x),
    addProducts(sums, factors, element) {
      const [sum, factor] = [sums[0], factors[0]];
      if (sums.length === 1 && sum && factor) {
        k.vfmadd231ps(sum, factor, element.broadcast());
        return;
      }
      k.scope(() => {
        const x = k.zmm('x');
        k.vbroadcastss(x, element);
        for (const [i, to] of sums.entries()) k.vfmadd231ps(to, x, factors[i] as Zmm);
      });
    },
    hideBeyond(x, limits, position, lowest) {
      k.scope(() => {
        const hidden = k.mask('hidden');
        k.vpcmpd(hidden, limits, position, lessOrEqual);
        k.vmovaps(x.masked(hidden), lowest);
      });
    },
    addIntegers: (to, a, b) => k.vpaddd(to, a, b),
  };
}

export function ymmVectors(k: KernelBuilder): Vectors<Ymm> {
  return {
    lanes: 8,
    take: (name, count) => k.ymms(name, count),
    zero: (x) => k.vxorps(x, x, x),
    load: (x, from) => k.vmovups(x, from),
    loadBf16: (x, from) => loadBf16(k, x, from),
    store: (to, x) => k.vmovups(to, x),
    addProduct: (sum, a, b) => k.vfmadd231ps(sum, a, b),
    storeSum: (to, x) => k.vmovss(to, sumOfLanes(k, [x])),
    broadcast: (x, from) => k.vbroadcastss(x, from),
    add: (to, a, b) => k.vaddps(to, a, b),
    subtract: (to, a, b) => k.vsubps(to, a, b),
    multiply: (to, a, b) => k.vmulps(to, a, b),
    max: (to, a, b) => k.vmaxps(to, a, b),
    finiteOrZero(to, x, lowest) {
      k.scope(() => {
        const finite = k.ymm('finite');
        k.vcmpps(finite, x, lowest, notEqual);
        k.vandps(to, x, finite);
      });
    },
    keepUnlessHigher(top, old, spare) {
      k.scope(() => {
        const kept = k.ymm('kept');
        k.vaddps(spare, old, k.constant.f32(new Array<number>(8).fill(8)));
        k.vcmpps(kept, top, spare, notGreater);
        k.vblendvps(top, top, old, kept);
      });
    },
    exp2: (x) => exp2Ymm(k, x),
    addProducts(sums, factors, element) {
      k.scope(() => {
        const x = k.ymm('x');
        k.vbroadcastss(x, element);
        for (const [i, to] of sums.entries()) k.vfmadd231ps(to, x, factors[i] as Ymm);
      });
    },
    hideBeyond(x, limits, position, lowest) {
      k.scope(() => {
        const seen = k.ymm('seen');
        k.vpcmpgtd(seen, limits, position);
        k.vblendvps(x, lowest, x, seen);
      });
    },
    addIntegers: (to, a, b) => k.vpaddd(to, a, b),
  };
}

/** Predicates of comparisons. */
const notEqual = 4;
const lessOrEqual = 2;
const notGreater = 10;
