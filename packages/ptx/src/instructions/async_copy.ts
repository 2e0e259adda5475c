import type { Body } from '../builder/body.ts';
import { arg, type Operand } from '../builder/operand.ts';
import type { Pointer } from '../builder/pointer.ts';
import type { Value } from '../builder/value.ts';
import { instruction } from '../ir/instruction.ts';
import type { MemType } from '../ir/types.ts';
import type { Access, AsyncCopy } from '../sim/machine.ts';

interface CopyAttrs {
  readonly bytes: 4 | 8 | 16;
  readonly to: number;
  readonly from: number;
  /** The number of bytes to read comes from a register; the rest is filled with zeros. */
  readonly partial: boolean;
  readonly l2Prefetch?: 64 | 128 | 256 | undefined;
  /** Keep the data out of the first-level cache (16-byte copies only). */
  readonly bypassL1: boolean;
  /** The last input is an L2 policy. */
  readonly policy: boolean;
}

/** Copies from global to shared memory behind the thread's back. */
export const cpAsync = instruction<CopyAttrs>({
  name: 'cp.async',
  kind: 'async copy',
  requires: ({ l2Prefetch, policy }) =>
    l2Prefetch === undefined && !policy ? undefined : { sm: 80, ptx: 74 },
  check: ({ bytes, bypassL1 }) =>
    bypassL1 && bytes !== 16 ? `bypassing L1 needs 16-byte copies, not ${bytes}` : undefined,
  ptx: ({ bytes, to, from, l2Prefetch, bypassL1, policy }, _, [dst, src, ...rest]) => {
    const level = bypassL1 ? 'cg' : 'ca';
    const hint = `${policy ? '.L2::cache_hint' : ''}${l2Prefetch === undefined ? '' : `.L2::${l2Prefetch}B`}`;
    const tail = rest.map((input) => `, ${input}`).join('');
    return `cp.async.${level}.shared.global${hint} [${dst}+${to}], [${src}+${from}], ${bytes}${tail}`;
  },
  warp: ({ bytes, to, from, partial }, site) => {
    const source: Access = {
      site,
      address: site.s[1],
      offset: from,
      bytes: 4,
      count: bytes / 4,
      data: [],
      signed: false,
      strong: false,
      acquire: false,
      release: false,
      nc: false,
    };
    const sourceBytes = partial ? site.s[2] : -1;
    const copy: AsyncCopy = { site, to: site.s[0], toOffset: to, source, sourceBytes };
    return (w, mask) => w.copyAsync(copy, mask);
  },
});

/** Closes the group of the copies issued so far. */
export const cpAsyncCommit = instruction({
  name: 'cp.async.commit_group',
  kind: 'async copy',
  ptx: () => 'cp.async.commit_group',
  warp: () => (w, mask) => w.commitCopies(mask),
});

/** Waits until at most `pending` of this thread's groups are unfinished. */
export const cpAsyncWait = instruction<{ readonly pending: number | 'all' }>({
  name: 'cp.async.wait_group',
  kind: 'async copy',
  check: ({ pending }) =>
    pending === 'all' || (Number.isInteger(pending) && pending >= 0)
      ? undefined
      : `the number of pending groups must be an integer from 0 up, not ${pending}`,
  ptx: ({ pending }) =>
    pending === 'all' ? 'cp.async.wait_all' : `cp.async.wait_group ${pending}`,
  warp:
    ({ pending }, site) =>
    (w, mask) =>
      w.waitCopies(site, mask, pending === 'all' ? -1 : pending),
});

/** Options of {@link asyncCopyOps}'s `cpAsync`. */
export interface CpAsyncOptions {
  /** Bytes to read, up to the copy's size; what is left of the destination becomes zero. */
  readonly sourceBytes?: Operand<'u32'>;
  /** Bytes that the second-level cache fetches along. */
  readonly l2Prefetch?: 64 | 128 | 256;
  /** What the second-level cache should do with the line: a value from `k.cachePolicy`. */
  readonly l2Policy?: Value<'b64'>;
  /** Whether L1 keeps a copy too: `true` by default below 16 bytes, where there is no choice. */
  readonly cacheL1?: boolean;
}

/** Asynchronous copies of sm_80: per-thread groups of 4-, 8- or 16-byte copies. */
export const asyncCopyOps = (body: Body) => ({
  /**
   * Starts copying `bytes` bytes from global to shared memory; both addresses are aligned to
   * `bytes`. The data is there for this thread after `cpAsyncWait`, for others after a barrier
   * behind that.
   */
  cpAsync<E extends MemType>(
    to: Pointer<'shared', E>,
    from: Pointer<'global', NoInfer<E>>,
    bytes: 4 | 8 | 16,
    options: CpAsyncOptions = {},
  ): void {
    const { sourceBytes, l2Prefetch, l2Policy, cacheL1 = bytes !== 16 } = options;
    const partial = sourceBytes !== undefined;
    const attrs = {
      bytes,
      to: to.offset,
      from: from.offset,
      partial,
      l2Prefetch,
      bypassL1: !cacheL1,
      policy: l2Policy !== undefined,
    };
    const size = sourceBytes === undefined ? [] : [arg('u32', sourceBytes)];
    const policy = l2Policy === undefined ? [] : [arg('b64', l2Policy)];
    body.run(cpAsync(attrs), [arg('u32', to.base), arg('u64', from.base), ...size, ...policy]);
  },
  /** Closes the group of this thread's copies started since the last commit. */
  cpAsyncCommit(): void {
    body.run(cpAsyncCommit({}), []);
  },
  /** Waits until at most `pending` of this thread's newest groups are unfinished. */
  cpAsyncWait(pending: number): void {
    body.run(cpAsyncWait({ pending }), []);
  },
  /** Waits for all copies of this thread, committed or not. */
  cpAsyncWaitAll(): void {
    body.run(cpAsyncWait({ pending: 'all' }), []);
  },
});
