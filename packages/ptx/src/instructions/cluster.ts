import type { Body } from '../builder/body.ts';
import { arg, bitType, type Operand } from '../builder/operand.ts';
import { Pointer } from '../builder/pointer.ts';
import { instruction } from '../ir/instruction.ts';
import { bytesOf, type MemType, type RegOf } from '../ir/types.ts';
import { clusterShift } from '../sim/addresses.ts';
import type { MemoryBarrier } from './mbarrier.ts';
import { baseArg, bracket } from './place.ts';

/** Turns an address in this CTA's shared memory into that of the same place in another's. */
export const mapaOp = instruction({
  name: 'mapa',
  kind: 'move',
  requires: () => ({ sm: 90, ptx: 78 }),
  ptx: (_, [d], [address, rank]) => `mapa.shared::cluster.u32 ${d}, ${address}, ${rank}`,
  lane: (_, [d], [address, rank]) =>
    `${d.v} = ${address.v} + ((${rank.v} + 1) << ${clusterShift}) | 0;`,
});

/** Arrives at the cluster's barrier. */
export const clusterArrive = instruction<{ readonly relaxed: boolean }>({
  name: 'barrier.cluster.arrive',
  kind: 'barrier',
  convergent: true,
  requires: () => ({ sm: 90, ptx: 80 }),
  ptx: ({ relaxed }) => `barrier.cluster.arrive.${relaxed ? 'relaxed' : 'release'}.aligned`,
  warp:
    ({ relaxed }, site) =>
    (w) =>
      w.arriveCluster(site, !relaxed),
});

/** Waits until all threads of the cluster have arrived. */
export const clusterWait = instruction({
  name: 'barrier.cluster.wait',
  kind: 'barrier',
  convergent: true,
  blocking: true,
  requires: () => ({ sm: 90, ptx: 78 }),
  ptx: () => 'barrier.cluster.wait.acquire.aligned',
  warp: (_, site) => (w) => w.waitCluster(site),
});

/** Stores words in a CTA of the cluster behind the thread's back. */
export const stAsync = instruction<{
  readonly to: number;
  readonly bar: number;
  readonly vector: 1 | 2 | 4;
  readonly bits: 'b32' | 'b64';
}>({
  name: 'st.async',
  kind: 'async copy',
  requires: () => ({ sm: 90, ptx: 81 }),
  check: ({ vector, bits }) =>
    vector === 4 && bits === 'b64' ? 'stores at most 16 bytes' : undefined,
  ptx: ({ to, bar, vector, bits }, _, [address, barrier, ...values]) => {
    const data = vector === 1 ? values[0] : `{${values.join(', ')}}`;
    const suffix = vector === 1 ? '' : `.v${vector}`;
    return `st.async.weak.shared::cluster.mbarrier::complete_tx::bytes${suffix}.${bits} ${bracket(address, to)}, ${data}, ${bracket(barrier, bar)}`;
  },
  warp: ({ to, bar, bits }, site) => {
    const values = site.s.slice(2);
    const store = {
      site,
      to: { register: site.s[0], offset: to },
      words: bits === 'b64' ? values.flatMap((v) => [v, v + 32]) : values,
      barrier: { register: site.s[1], offset: bar },
    };
    return (w, mask) => w.bulk.store(w, store, mask);
  },
});

/** The same place in the shared memory of CTA `rank` of the cluster. */
export function mapa<E extends MemType>(
  body: Body,
  pointer: Pointer<'shared', E>,
  rank: Operand<'u32'>,
): Pointer<'cluster', E> {
  const base = body.one(mapaOp({}), 'u32', [baseArg(pointer), arg('u32', rank)]);
  return new Pointer('cluster', pointer.element, base, pointer.offset);
}

/** Element types that `st.async` stores. */
type AsyncElement = Extract<
  MemType,
  'b32' | 'u32' | 's32' | 'f32' | 'f16x2' | 'bf16x2' | 'e4m3x4' | 'b64' | 'u64' | 's64'
>;

/** Clusters of CTAs and their distributed shared memory (sm_90 up). */
export const clusterOps = (body: Body) => ({
  /**
   * The same place in the shared memory of another CTA of the cluster, to load from, to store to and
   * for atomics. The CTA must have started (a cluster barrier says so) and must not end before.
   */
  mapa<E extends MemType>(
    pointer: Pointer<'shared', E>,
    rank: Operand<'u32'>,
  ): Pointer<'cluster', E> {
    return mapa(body, pointer, rank);
  },
  /**
   * Stores 1, 2 or 4 neighbours (up to 16 bytes) in another CTA's shared memory; `bar`, a barrier of
   * that CTA, counts their bytes when they have arrived.
   */
  stAsync<E extends AsyncElement>(
    to: Pointer<'cluster', E>,
    values: readonly Operand<RegOf<E>>[],
    bar: Pointer<'cluster', 'b64'> | MemoryBarrier,
  ): void {
    const vector = values.length;
    if (vector !== 1 && vector !== 2 && vector !== 4) {
      throw body.error(`st.async stores 1, 2 or 4 elements, not ${vector}`);
    }
    const bits = bytesOf(to.element) === 8 ? 'b64' : 'b32';
    const inputs = values.map((value) =>
      typeof value === 'object'
        ? { reg: value.reg, type: bitType(to.element) }
        : arg(to.element, value as number),
    );
    const op = stAsync({ to: to.offset, bar: bar.offset, vector, bits });
    body.run(op, [baseArg(to), baseArg(bar), ...inputs]);
  },
  /** Arrives at the cluster's barrier; `relaxed` publishes nothing. Whole warps. */
  clusterArrive(options: { readonly relaxed?: boolean } = {}): void {
    body.run(clusterArrive({ relaxed: options.relaxed ?? false }), []);
  },
  /** Waits until all threads of the cluster have arrived. Whole warps. */
  clusterWait(): void {
    body.run(clusterWait({}), []);
  },
  /** Waits for all threads of the cluster; what they did before is seen after. */
  clusterBarrier(): void {
    body.run(clusterArrive({ relaxed: false }), []);
    body.run(clusterWait({}), []);
  },
});
