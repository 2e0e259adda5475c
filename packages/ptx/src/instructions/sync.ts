import type { Body } from '../builder/body.ts';
import { arg, type Operand } from '../builder/operand.ts';
import type { Value } from '../builder/value.ts';
import { instruction } from '../ir/instruction.ts';
import type { Site, VoteMode, Warp } from '../sim/machine.ts';
import type { Scope } from './memory.ts';

interface Barrier {
  /** Absent: a register holds the number, the same in all lanes. */
  readonly id: number | undefined;
  /** Threads that make it complete: a multiple of 32; absent: all of the CTA. */
  readonly threads: number | undefined;
}

const checkBarrier = ({ id, threads }: Barrier): string | undefined => {
  if (id !== undefined && (!Number.isInteger(id) || id < 0 || id > 15)) {
    return `barriers are numbered 0 to 15, not ${id}`;
  }
  if (threads !== undefined && (threads <= 0 || threads % 32 !== 0 || threads > 1024)) {
    return `a barrier counts a multiple of 32 threads up to 1024, not ${threads}`;
  }
  return undefined;
};

/** The barrier that a register names: lanes must agree. */
function numberOf(w: Warp, mask: number, site: Site, register = site.s[0]): number {
  const first = w.I[register + 31 - Math.clz32(mask)] >>> 0;
  for (let lane = 0; lane < 32; lane++) {
    if (!((mask >>> lane) & 1)) continue;
    const id = w.I[register + lane] >>> 0;
    if (id !== first) w.fault('barrier', site, `lanes name different barriers, ${first} and ${id}`);
  }
  if (first > 15) w.fault('barrier', site, `barriers are numbered 0 to 15, not ${first}`);
  return first;
}

/** Waits until the barrier's threads have all arrived. */
export const barSync = instruction<Barrier>({
  name: 'bar.sync',
  kind: 'barrier',
  convergent: true,
  blocking: true,
  check: checkBarrier,
  ptx: ({ id, threads }, _, [number]) =>
    `bar.sync ${id ?? number}${threads === undefined ? '' : `, ${threads}`}`,
  warp: ({ id, threads }, site) => {
    if (id !== undefined) return (w) => w.barrier(site, id, threads, true);
    return (w, mask) => w.barrier(site, numberOf(w, mask, site), threads, true);
  },
});

/** Arrives at the barrier without waiting. */
export const barArrive = instruction<Barrier>({
  name: 'bar.arrive',
  kind: 'barrier',
  convergent: true,
  check: (attrs) =>
    attrs.threads === undefined ? 'bar.arrive needs the number of threads' : checkBarrier(attrs),
  ptx: ({ id, threads }, _, [number]) => `bar.arrive ${id ?? number}, ${threads}`,
  warp: ({ id, threads }, site) => {
    if (id !== undefined) return (w) => w.barrier(site, id, threads, false);
    return (w, mask) => w.barrier(site, numberOf(w, mask, site), threads, false);
  },
});

/**
 * Waits until the barrier's threads have all arrived; each is told whether any of them, or all, brought
 * a true predicate.
 */
export const barVote = instruction<Barrier & { readonly mode: VoteMode }>({
  name: 'bar.red',
  kind: 'barrier',
  convergent: true,
  blocking: true,
  check: checkBarrier,
  ptx: ({ mode, id, threads }, [d], [p, number]) => {
    const barrier = [id ?? number, ...(threads === undefined ? [] : [threads])].join(', ');
    return `bar.red.${mode === 'any' ? 'or' : 'and'}.pred ${d}, ${barrier}, ${p}`;
  },
  warp: ({ mode, id, threads }, site) => {
    const [p, number] = site.s;
    const [result] = site.d;
    return (w, mask) => {
      const voters = w.I[p] & mask;
      const yes = mode === 'any' ? voters !== 0 : voters === mask;
      const at = id ?? numberOf(w, mask, site, number);
      return w.barrier(site, at, threads, true, { mode, yes, result, lanes: mask });
    };
  },
});

/** Waits for the lanes of the mask, and makes their memory accesses visible to one another. */
export const barWarp = instruction({
  name: 'bar.warp.sync',
  kind: 'barrier',
  ptx: (_, __, [mask]) => `bar.warp.sync ${mask}`,
  warp: (_, site) => (w, mask) => {
    const members = site.s[0];
    for (let lane = 0; lane < 32; lane++) {
      if ((mask >>> lane) & 1) w.together(site, mask, w.I[members + lane]);
    }
    w.syncLanes();
  },
});

/** How much a fence orders: `acq_rel` suffices for patterns of release and acquire. */
export type FenceOrder = 'acq_rel' | 'sc';

/** Orders this thread's earlier accesses before its later ones, for observers in the scope. */
export const fence = instruction<{ readonly order: FenceOrder; readonly scope: Scope }>({
  name: 'fence',
  kind: 'fence',
  requires: ({ scope }) => (scope === 'cluster' ? { sm: 90, ptx: 78 } : undefined),
  ptx: ({ order, scope }) => `fence.${order}.${scope}`,
  warp:
    ({ scope }) =>
    (w) =>
      w.fence(scope === 'gpu' || scope === 'sys'),
});

/** Programmatic dependent launch: lets the next kernel of the stream start, or waits for the last. */
export const griddepcontrol = instruction<{ readonly action: 'launch_dependents' | 'wait' }>({
  name: 'griddepcontrol',
  kind: 'control',
  requires: () => ({ sm: 90, ptx: 78 }),
  ptx: ({ action }) => `griddepcontrol.${action}`,
  // Simulated launches run one after another: everything before has finished.
  lane: () => '',
});

/** Suspends the thread for about the given number of nanoseconds. */
export const nanosleep = instruction({
  name: 'nanosleep',
  kind: 'control',
  ptx: (_, __, [ns]) => `nanosleep.u32 ${ns}`,
  polls: () => true,
  warp: () => (w) => w.pause(),
});

/** Aborts the grid with an error. */
export const trap = instruction({
  name: 'trap',
  kind: 'control',
  ptx: () => 'trap',
  warp: (_, site) => (w, mask) =>
    w.fault('trap', site, 'the kernel trapped', 31 - Math.clz32(mask & -mask)),
});

function voteAt(
  body: Body,
  mode: VoteMode,
  p: Value<'pred'>,
  id: number | Value<'u32'>,
  threads: number | undefined,
): Value<'pred'> {
  const vote = arg('pred', p);
  if (typeof id === 'number') return body.one(barVote({ mode, id, threads }), 'pred', [vote]);
  return body.one(barVote({ mode, id: undefined, threads }), 'pred', [vote, arg('u32', id)]);
}

/** Barriers, fences and other control of threads. */
export const syncOps = (body: Body) => ({
  /**
   * Waits until all threads of the CTA are here, or with `threads` until that many have arrived at
   * barrier `id` (by this or by `barrierArrive`). All lanes of a warp must be here together.
   */
  barrier(id: number | Value<'u32'> = 0, threads?: number): void {
    if (typeof id === 'number') body.run(barSync({ id, threads }), []);
    else body.run(barSync({ id: undefined, threads }), [arg('u32', id)]);
  },
  /**
   * Like {@link barrier}, and tells each of its threads whether any of them brought a true predicate.
   */
  barrierAny(p: Value<'pred'>, id: number | Value<'u32'> = 0, threads?: number): Value<'pred'> {
    return voteAt(body, 'any', p, id, threads);
  },
  /** Like {@link barrier}, and tells each of its threads whether all of them brought a true predicate. */
  barrierAll(p: Value<'pred'>, id: number | Value<'u32'> = 0, threads?: number): Value<'pred'> {
    return voteAt(body, 'all', p, id, threads);
  },
  /** Counts this warp as arrived at barrier `id` and goes on; `threads` is the barrier's total. */
  barrierArrive(id: number | Value<'u32'>, threads: number): void {
    if (typeof id === 'number') body.run(barArrive({ id, threads }), []);
    else body.run(barArrive({ id: undefined, threads }), [arg('u32', id)]);
  },
  /** Waits for the warp's lanes (of the mask); their writes before are visible to all after. */
  syncWarp(mask: Operand<'b32'> = 0xffffffff): void {
    body.run(barWarp({}), [arg('b32', mask)]);
  },
  /** Orders this thread's memory accesses, for observers in the scope. */
  fence(scope: Scope, order: FenceOrder = 'acq_rel'): void {
    body.run(fence({ order, scope }), []);
  },
  /** Lets the next kernel of the stream be scheduled (sm_90 up; needs the launch attribute). */
  launchDependents(): void {
    body.run(griddepcontrol({ action: 'launch_dependents' }), []);
  },
  /** Waits until the kernels this one depends on have finished and their writes are visible. */
  waitForDependencies(): void {
    body.run(griddepcontrol({ action: 'wait' }), []);
  },
  /** Sleeps for about that many nanoseconds: for polling loops. */
  nanosleep(ns: Operand<'u32'>): void {
    body.run(nanosleep({}), [arg('u32', ns)]);
  },
  /** Aborts the grid; the launch reports an error. */
  trap(): void {
    body.run(trap({}), []);
  },
});
