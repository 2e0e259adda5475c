import type { Body } from '../builder/body.ts';
import { arg, type Operand } from '../builder/operand.ts';
import type { Pointer } from '../builder/pointer.ts';
import type { Value } from '../builder/value.ts';
import { instruction } from '../ir/instruction.ts';
import type { BarrierWait, Site } from '../sim/machine.ts';
import { mapa } from './cluster.ts';
import { baseArg, bracket } from './place.ts';

/** A memory barrier: 8 bytes of shared memory, declared as `field('b64', [n])`. */
export type MemoryBarrier = Pointer<'shared', 'b64'>;

const hopper = () => ({ sm: 90, ptx: 80 });

interface At {
  /** Constant part of the barrier's address. */
  readonly offset: number;
}

const placeOf = (site: Site, { offset }: At, input = 0) => ({ register: site.s[input], offset });

/** Makes a barrier whose phases complete after so many arrivals. */
export const mbarrierInit = instruction<At>({
  name: 'mbarrier.init',
  kind: 'barrier',
  requires: hopper,
  ptx: ({ offset }, _, [address, count]) =>
    `mbarrier.init.shared::cta.b64 ${bracket(address, offset)}, ${count}`,
  warp: (attrs, site) => (w, mask) =>
    w.mbarriers.init(w, site, mask, placeOf(site, attrs), site.s[1]),
});

/** Ends a barrier's life, so that its memory may serve for something else. */
export const mbarrierInval = instruction<At>({
  name: 'mbarrier.inval',
  kind: 'barrier',
  requires: hopper,
  ptx: ({ offset }, _, [address]) => `mbarrier.inval.shared::cta.b64 ${bracket(address, offset)}`,
  warp: (attrs, site) => (w, mask) => w.mbarriers.invalidate(w, site, mask, placeOf(site, attrs)),
});

/** Arrives, which releases what the thread did before, and may announce bytes. */
export const mbarrierArrive = instruction<
  At & {
    readonly expect: boolean;
    /** The barrier may be another CTA's. */
    readonly remote: boolean;
    /** Publishes nothing beyond this CTA. */
    readonly buffersOnly?: boolean;
  }
>({
  name: 'mbarrier.arrive',
  kind: 'barrier',
  requires: hopper,
  ptx: ({ offset, expect, remote, buffersOnly }, _, [address, ...bytes]) => {
    const scope = remote && !buffersOnly ? 'cluster' : 'cta';
    const space = `release.${scope}.shared::${remote ? 'cluster' : 'cta'}`;
    const operands = ['_', bracket(address, offset), ...bytes].join(', ');
    return `mbarrier.arrive${expect ? '.expect_tx' : ''}.${space}.b64 ${operands}`;
  },
  warp: (attrs, site) => {
    const arrival = {
      site,
      barrier: placeOf(site, attrs),
      arrivals: 1,
      expect: attrs.expect ? site.s[1] : -1,
      remote: attrs.remote,
    } as const;
    return (w, mask) => w.mbarriers.arrive(w, arrival, mask);
  },
});

/**
 * Arrives when all copies have come that the thread has started by `cp.async`. The simulator lets them
 * come at once: whoever waits for the barrier cannot tell.
 */
export const cpAsyncArrive = instruction<At>({
  name: 'cp.async.mbarrier.arrive',
  kind: 'barrier',
  requires: hopper,
  ptx: ({ offset }, _, [address]) =>
    `cp.async.mbarrier.arrive.noinc.shared::cta.b64 ${bracket(address, offset)}`,
  warp: (attrs, site) => {
    const barrier = placeOf(site, attrs);
    const arrival = { site, barrier, arrivals: 1, expect: -1, remote: false } as const;
    return (w, mask) => {
      w.waitCopies(site, mask, -1);
      w.mbarriers.arrive(w, arrival, mask);
    };
  },
});

/** Announces bytes without arriving. */
export const mbarrierExpectTx = instruction<At>({
  name: 'mbarrier.expect_tx',
  kind: 'barrier',
  requires: hopper,
  ptx: ({ offset }, _, [address, bytes]) =>
    `mbarrier.expect_tx.relaxed.cta.shared::cta.b64 ${bracket(address, offset)}, ${bytes}`,
  warp: (attrs, site) => {
    const barrier = placeOf(site, attrs);
    const arrival = { site, barrier, arrivals: 0, expect: site.s[1], remote: false } as const;
    return (w, mask) => w.mbarriers.arrive(w, arrival, mask);
  },
});

interface Wait extends At {
  readonly cluster: boolean | 'buffers';
}

const tryWaitText = ({ offset, cluster }: Wait, done: string, address: string, parity: string) =>
  `mbarrier.try_wait.parity.acquire.${cluster === true ? 'cluster' : 'cta'}.shared::cta.b64 ${done}, ${bracket(address, offset)}, ${parity}`;

const waitOf = (attrs: Wait, site: Site): BarrierWait => ({
  site,
  barrier: placeOf(site, attrs),
  parity: site.s[1],
  cluster: attrs.cluster !== false,
});

/** Asks whether the phase of this parity is complete; may suspend the thread for a while. */
export const mbarrierTryWait = instruction<Wait>({
  name: 'mbarrier.try_wait',
  kind: 'barrier',
  requires: hopper,
  ptx: (attrs, [done], [address, parity]) => tryWaitText(attrs, done, address, parity),
  polls: () => true,
  warp: (attrs, site) => {
    const wait = waitOf(attrs, site);
    const [done] = site.d;
    return (w, mask) => {
      w.I[done] = (w.I[done] & ~mask) | w.mbarriers.test(w, wait, mask);
    };
  },
});

/** Waits until the phase of this parity is complete: the loop around `try_wait`. */
export const mbarrierWait = instruction<Wait>({
  name: 'mbarrier.try_wait',
  kind: 'barrier',
  requires: hopper,
  blocking: 'retry',
  ptx: (attrs, _, [address, parity]) =>
    [
      '{ .reg .pred done;',
      `$wait: ${tryWaitText(attrs, 'done', address, parity)};`,
      '@!done bra $wait; }',
    ].join('\n    '),
  warp: (attrs, site) => {
    const wait = waitOf(attrs, site);
    return (w, mask) => w.mbarriers.wait(w, wait, mask);
  },
});

/** Makes the initialisation of barriers visible to copies and to the cluster. */
export const fenceMbarrierInit = instruction({
  name: 'fence.mbarrier_init',
  kind: 'fence',
  requires: hopper,
  ptx: () => 'fence.mbarrier_init.release.cluster',
  warp: () => (w) => w.mbarriers.fenceInit(w),
});

/** Options of waits. */
export interface WaitOptions {
  /**
   * Sees what other CTAs of the cluster did before they arrived, instead of this CTA's alone.
   * `buffers`: sees only that their multiplications and copies are done with a buffer, which costs no
   * fence; enough to start a copy into it.
   */
  readonly cluster?: boolean | 'buffers';
}

/**
 * Memory barriers of sm_90. A barrier goes through phases: one completes when the count of arrivals
 * is reached and all announced bytes have come, and the next begins at once. A wait names a phase by
 * its parity: the first phase has parity 0, and waiting for parity 1 on a new barrier returns at once.
 */
export const mbarrierOps = (body: Body) => {
  const at = (bar: MemoryBarrier) => ({ offset: bar.offset });
  const wait = (bar: MemoryBarrier, { cluster = false }: WaitOptions) => ({ ...at(bar), cluster });
  return {
    /** Makes a barrier of `count` arrivals per phase, up to 2^20 − 1. By one thread, once. */
    mbarrierInit(bar: MemoryBarrier, count: Operand<'u32'>): void {
      if (typeof count === 'number' && (count < 1 || count >= 2 ** 20)) {
        body.fail(`a barrier counts 1 to ${2 ** 20 - 1} arrivals, not ${count}`);
      }
      body.run(mbarrierInit(at(bar)), [baseArg(bar), arg('u32', count)]);
    },
    /** Ends a barrier's life, so that its memory may serve for something else. */
    mbarrierInvalidate(bar: MemoryBarrier): void {
      body.run(mbarrierInval(at(bar)), [baseArg(bar)]);
    },
    /** Arrives: whoever waits for the phase sees what this thread did before. */
    mbarrierArrive(bar: MemoryBarrier): void {
      body.run(mbarrierArrive({ ...at(bar), expect: false, remote: false }), [baseArg(bar)]);
    },
    /**
     * Arrives as soon as the copies are there that this thread has started by `cpAsync`: it need not wait
     * for them itself. One of the barrier's arrivals.
     */
    cpAsyncArrive(bar: MemoryBarrier): void {
      body.run(cpAsyncArrive(at(bar)), [baseArg(bar)]);
    },
    /** Arrives and announces bytes that copies will deliver in this phase. */
    mbarrierArriveExpectTx(bar: MemoryBarrier, bytes: Operand<'u32'>): void {
      checkBytes(body, bytes);
      const op = mbarrierArrive({ ...at(bar), expect: true, remote: false });
      body.run(op, [baseArg(bar), arg('u32', bytes)]);
    },
    /** Announces bytes that copies will deliver in this phase, without arriving. */
    mbarrierExpectTx(bar: MemoryBarrier, bytes: Operand<'u32'>): void {
      checkBytes(body, bytes);
      body.run(mbarrierExpectTx(at(bar)), [baseArg(bar), arg('u32', bytes)]);
    },
    /**
     * Arrives at the barrier at the same place of another CTA's shared memory, or at the one that
     * `mapa` gave: a loop may compute its place once.
     */
    mbarrierArriveRemote(
      ...[bar, ctaRank]:
        | [bar: MemoryBarrier, ctaRank: Operand<'u32'>]
        | [bar: Pointer<'cluster', 'b64'>, ctaRank?: undefined]
    ): void {
      const remote = ctaRank === undefined ? bar : mapa(body, bar, ctaRank);
      const op = mbarrierArrive({ offset: remote.offset, expect: false, remote: true });
      body.run(op, [baseArg(remote)]);
    },
    /**
     * Arrives at the barrier at the same place of another CTA's shared memory and says only that
     * finished multiplications and copies are done with a buffer (see {@link WaitOptions}): what the
     * thread wrote is not published, which would take a fence.
     */
    mbarrierReleaseRemote(bar: MemoryBarrier, ctaRank: Operand<'u32'>): void {
      const remote = mapa(body, bar, ctaRank);
      const { offset } = remote;
      const op = mbarrierArrive({ offset, expect: false, remote: true, buffersOnly: true });
      body.run(op, [baseArg(remote)]);
    },
    /** Whether the phase of this parity is complete; may suspend the thread for a short while. */
    mbarrierTryWait(
      bar: MemoryBarrier,
      parity: Operand<'u32'>,
      options: WaitOptions = {},
    ): Value<'pred'> {
      const op = mbarrierTryWait(wait(bar, options));
      return body.one(op, 'pred', [baseArg(bar), arg('u32', parity)]);
    },
    /** Waits until the phase of this parity is complete. */
    mbarrierWait(bar: MemoryBarrier, parity: Operand<'u32'>, options: WaitOptions = {}): void {
      body.run(mbarrierWait(wait(bar, options)), [baseArg(bar), arg('u32', parity)]);
    },
    /** Makes the barriers that this thread initialised usable for copies and for the cluster. */
    fenceMbarrierInit(): void {
      body.run(fenceMbarrierInit({}), []);
    },
  };
};

function checkBytes(body: Body, bytes: Operand<'u32'>): void {
  if (typeof bytes !== 'number' || (bytes >= 0 && bytes < 2 ** 20)) return;
  body.fail(`a phase counts 0 to ${2 ** 20 - 1} bytes, not ${bytes}`);
}
