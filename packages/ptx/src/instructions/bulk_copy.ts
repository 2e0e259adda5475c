import type { Body } from '../builder/body.ts';
import { arg, type Operand } from '../builder/operand.ts';
import type { Pointer } from '../builder/pointer.ts';
import type { Value } from '../builder/value.ts';
import { instruction } from '../ir/instruction.ts';
import type { Arg } from '../ir/program.ts';
import type { MemType } from '../ir/types.ts';
import type { BulkCopy } from '../sim/machine.ts';
import type { MemoryBarrier } from './mbarrier.ts';
import { baseArg, bracket } from './place.ts';

/** CTAs of the cluster as bits: a constant, or a value. */
export type CtaMask = number | Value<'b16'>;

/** Types that bulk reductions add. */
export type ReduceType = 'f32' | 'f16' | 'bf16' | 'u32' | 's32';

/** How the bytes of a copy are reported and to whom they go. */
export interface BulkLoadOptions {
  /** CTAs of the cluster (bit i: rank i) that receive the data, each at the same place, with its own barrier. */
  readonly multicast?: CtaMask;
  /** What the second-level cache should do with the lines: a value from `k.cachePolicy`. */
  readonly l2Policy?: Value<'b64'> | undefined;
}

const hopper = () => ({ sm: 90, ptx: 80 });
export const cacheHint = (policy: boolean): string => (policy ? '.L2::cache_hint' : '');
export const multicastHint = (multicast: boolean): string =>
  multicast ? '.multicast::cluster' : '';

/** The mask of a multicast as inputs. */
export function maskArg(body: Body, mask: CtaMask | undefined): Arg[] {
  if (mask === undefined) return [];
  if (typeof mask === 'object') return [arg('b16', mask)];
  if (!Number.isInteger(mask) || mask < 1 || mask > 0xffff) {
    body.fail(`a multicast goes to the CTAs of a 16-bit mask, not ${mask}`);
  }
  return [{ imm: mask, type: 'b16' }];
}

export const policyArg = (policy: Value<'b64'> | undefined): Arg[] =>
  policy === undefined ? [] : [arg('b64', policy)];

interface Load {
  readonly to: number;
  readonly from: number;
  readonly bar: number;
  readonly multicast: boolean;
  readonly policy: boolean;
}

/** Global to shared memory, of this CTA or several of the cluster. */
export const bulkLoad = instruction<Load>({
  name: 'cp.async.bulk',
  kind: 'async copy',
  requires: hopper,
  ptx: ({ to, from, bar, multicast, policy }, _, [dst, src, bytes, barrier, ...rest]) =>
    `cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes${multicastHint(multicast)}${cacheHint(policy)} ${[bracket(dst, to), bracket(src, from), bytes, bracket(barrier, bar), ...rest].join(', ')}`,
  warp: ({ to, from, bar, multicast }, site) => {
    const { s } = site;
    const copy: BulkCopy = {
      site,
      what: 'the bulk load',
      to: { space: 'shared', register: s[0], offset: to },
      from: { space: 'global', register: s[1], offset: from },
      box: undefined,
      bytes: s[2],
      barrier: { register: s[3], offset: bar },
      multicast: multicast ? s[4] : -1,
      add: undefined,
    };
    return (w, mask) => w.bulk.start(w, copy, mask);
  },
});

/** Shared memory of this CTA to that of another CTA of the cluster. */
export const bulkCopyToCluster = instruction<Pick<Load, 'to' | 'from' | 'bar'>>({
  name: 'cp.async.bulk',
  kind: 'async copy',
  requires: hopper,
  ptx: ({ to, from, bar }, _, [dst, src, bytes, barrier]) =>
    `cp.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes ${bracket(dst, to)}, ${bracket(src, from)}, ${bytes}, ${bracket(barrier, bar)}`,
  warp: ({ to, from, bar }, site) => {
    const { s } = site;
    const copy: BulkCopy = {
      site,
      what: 'the bulk copy',
      to: { space: 'cluster', register: s[0], offset: to },
      from: { space: 'shared', register: s[1], offset: from },
      box: undefined,
      bytes: s[2],
      barrier: { register: s[3], offset: bar },
      multicast: -1,
      add: undefined,
    };
    return (w, mask) => w.bulk.start(w, copy, mask);
  },
});

/** Shared to global memory, overwriting or adding. */
export const bulkStore = instruction<
  Pick<Load, 'to' | 'from' | 'policy'> & { readonly add: ReduceType | undefined }
>({
  name: 'cp.async.bulk',
  kind: 'async copy',
  requires: hopper,
  ptx: ({ to, from, policy, add }, _, [dst, src, bytes, ...rest]) => {
    const half = add === 'f16' || add === 'bf16';
    const reduction = add === undefined ? '' : `.add${half ? '.noftz' : ''}.${add}`;
    return `cp${add === undefined ? '' : '.reduce'}.async.bulk.global.shared::cta.bulk_group${cacheHint(policy)}${reduction} ${[bracket(dst, to), bracket(src, from), bytes, ...rest].join(', ')}`;
  },
  warp: ({ to, from, add }, site) => {
    const copy: BulkCopy = {
      site,
      what: add === undefined ? 'the bulk store' : 'the bulk reduction',
      to: { space: 'global', register: site.s[0], offset: to },
      from: { space: 'shared', register: site.s[1], offset: from },
      box: undefined,
      bytes: site.s[2],
      barrier: undefined,
      multicast: -1,
      add,
    };
    return (w, mask) => w.bulk.start(w, copy, mask);
  },
});

/** Asks the second-level cache to fetch a range. */
export const bulkPrefetch = instruction<{ readonly from: number; readonly policy: boolean }>({
  name: 'cp.async.bulk.prefetch',
  kind: 'async copy',
  requires: hopper,
  ptx: ({ from, policy }, _, [src, bytes, ...rest]) =>
    `cp.async.bulk.prefetch.L2.global${cacheHint(policy)} ${[bracket(src, from), bytes, ...rest].join(', ')}`,
  lane: () => '',
});

/** Closes the group of the copies to global memory that this thread started. */
export const bulkCommit = instruction({
  name: 'cp.async.bulk.commit_group',
  kind: 'async copy',
  requires: hopper,
  ptx: () => 'cp.async.bulk.commit_group',
  warp: () => (w, mask) => w.bulk.commit(w, mask),
});

/** Waits until at most `pending` of this thread's groups are unfinished, or not yet read. */
export const bulkWait = instruction<{ readonly pending: number; readonly read: boolean }>({
  name: 'cp.async.bulk.wait_group',
  kind: 'async copy',
  requires: hopper,
  check: ({ pending }) =>
    Number.isInteger(pending) && pending >= 0
      ? undefined
      : `the number of pending groups must be an integer from 0 up, not ${pending}`,
  ptx: ({ pending, read }) => `cp.async.bulk.wait_group${read ? '.read' : ''} ${pending}`,
  warp:
    ({ pending, read }) =>
    (w, mask) =>
      w.bulk.wait(w, mask, pending, read),
});

function checkSize(body: Body, bytes: Operand<'u32'>): void {
  if (typeof bytes !== 'number' || (bytes > 0 && bytes % 16 === 0)) return;
  body.fail(`bulk copies move multiples of 16 bytes, not ${bytes}`);
}

/**
 * Bulk copies of sm_90: one thread moves contiguous bytes, multiples of 16 between addresses that are
 * multiples of 16. Loads report to a memory barrier, stores form groups of their thread.
 */
export const bulkCopyOps = (body: Body) => ({
  /** Starts copying from global to shared memory; the barrier counts the bytes as they arrive. */
  bulkLoad<E extends MemType>(
    to: Pointer<'shared', E>,
    from: Pointer<'global', NoInfer<E>>,
    bytes: Operand<'u32'>,
    bar: MemoryBarrier,
    { multicast, l2Policy }: BulkLoadOptions = {},
  ): void {
    checkSize(body, bytes);
    const op = bulkLoad({
      to: to.offset,
      from: from.offset,
      bar: bar.offset,
      multicast: multicast !== undefined,
      policy: l2Policy !== undefined,
    });
    body.run(op, [
      baseArg(to),
      baseArg(from),
      arg('u32', bytes),
      baseArg(bar),
      ...maskArg(body, multicast),
      ...policyArg(l2Policy),
    ]);
  },
  /**
   * Starts copying from shared to global memory. `bulkCommit` closes the thread's group; the source
   * may change after `bulkWait(pending, { read: true })`, the data is in place after `bulkWait`.
   */
  bulkStore<E extends MemType>(
    to: Pointer<'global', E>,
    from: Pointer<'shared', NoInfer<E>>,
    bytes: Operand<'u32'>,
    options: { readonly l2Policy?: Value<'b64'> | undefined } = {},
  ): void {
    checkSize(body, bytes);
    const policy = options.l2Policy !== undefined;
    const op = bulkStore({ to: to.offset, from: from.offset, policy, add: undefined });
    body.run(op, [baseArg(to), baseArg(from), arg('u32', bytes), ...policyArg(options.l2Policy)]);
  },
  /** Starts adding elements in shared memory to those in global memory, each add by itself atomic. */
  bulkReduce<E extends ReduceType>(
    to: Pointer<'global', E>,
    from: Pointer<'shared', NoInfer<E>>,
    bytes: Operand<'u32'>,
    options: { readonly l2Policy?: Value<'b64'> | undefined } = {},
  ): void {
    checkSize(body, bytes);
    const policy = options.l2Policy !== undefined;
    const op = bulkStore({ to: to.offset, from: from.offset, policy, add: to.element });
    body.run(op, [baseArg(to), baseArg(from), arg('u32', bytes), ...policyArg(options.l2Policy)]);
  },
  /** Starts copying to another CTA's shared memory; `bar`, a barrier of that CTA, counts the bytes. */
  bulkCopyToCluster<E extends MemType>(
    to: Pointer<'cluster', E>,
    from: Pointer<'shared', NoInfer<E>>,
    bytes: Operand<'u32'>,
    bar: Pointer<'cluster', 'b64'>,
  ): void {
    checkSize(body, bytes);
    const op = bulkCopyToCluster({ to: to.offset, from: from.offset, bar: bar.offset });
    body.run(op, [baseArg(to), baseArg(from), arg('u32', bytes), baseArg(bar)]);
  },
  /** Asks the second-level cache to fetch a range of global memory. */
  bulkPrefetch(
    from: Pointer<'global', MemType>,
    bytes: Operand<'u32'>,
    options: { readonly l2Policy?: Value<'b64'> | undefined } = {},
  ): void {
    checkSize(body, bytes);
    const policy = options.l2Policy !== undefined;
    const op = bulkPrefetch({ from: from.offset, policy });
    body.run(op, [baseArg(from), arg('u32', bytes), ...policyArg(options.l2Policy)]);
  },
  /** Closes the group of this thread's copies to global memory since the last commit. */
  bulkCommit(): void {
    body.run(bulkCommit({}), []);
  },
  /** Waits until at most `pending` of this thread's newest groups are unfinished (`read`: unread). */
  bulkWait(pending: number, options: { readonly read?: boolean } = {}): void {
    body.run(bulkWait({ pending, read: options.read ?? false }), []);
  },
});
