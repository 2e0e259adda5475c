import type { Body } from '../builder/body.ts';
import type { Value } from '../builder/value.ts';
import type { Requirement } from '../emit/target.ts';
import { instruction } from '../ir/instruction.ts';
import { bytesOf, type MemType, type Space, spaceName } from '../ir/types.ts';
import type { Access, Site } from '../sim/machine.ts';

/** How long a cache should keep a line. */
export type Eviction = 'first' | 'last' | 'unchanged' | 'normal';

/** Cache hints of a global load or store. */
export interface CacheHints {
  /** First-level cache: `none` leaves no copy, the others are eviction priorities. */
  readonly l1?: 'none' | Eviction | undefined;
  /** Bytes that the second-level cache fetches along. */
  readonly l2Prefetch?: 64 | 128 | 256 | undefined;
  /** What the second-level cache should do with the line: a value from `k.cachePolicy`. */
  readonly l2Policy?: Value<'b64'> | undefined;
}

/** Ordering of an access that other threads may see: scope of the threads it is ordered with. */
export type Scope = 'cta' | 'cluster' | 'gpu' | 'sys';

/** Options of a load. `nc`: nobody writes the data while the kernel runs (read-only path). */
export interface LoadOptions extends CacheHints {
  readonly nc?: boolean | undefined;
  /** Re-reads memory at every execution. */
  readonly volatile?: boolean | undefined;
  /** Later accesses of this thread stay behind this load; reads what a release published. */
  readonly acquire?: Scope | undefined;
  /** Like acquire without the ordering: may poll, publishes and reads nothing else. */
  readonly relaxed?: Scope | undefined;
}

/** Options of a store. */
export interface StoreOptions extends Pick<CacheHints, 'l1' | 'l2Policy'> {
  readonly volatile?: boolean | undefined;
  /** Earlier accesses of this thread are visible to whoever acquires this store. */
  readonly release?: Scope | undefined;
  readonly relaxed?: Scope | undefined;
}

export interface MemoryAttrs {
  readonly space: Space;
  readonly type: MemType;
  readonly vector: 1 | 2 | 4;
  /** Constant byte offset, part of the instruction. */
  readonly offset: number;
  /** The last input is an L2 policy. */
  readonly policy: boolean;
}

/** Options as the instruction keeps them: the policy is an input instead. */
type Fixed<O> = MemoryAttrs & Omit<O, 'l2Policy'>;

/** What memory instructions call an element: bytes are untyped, e4m3 is a byte, f16 16 bits. */
export function memoryType(type: MemType): string {
  const signed = type === 's8' || type === 's16';
  if (signed || type === 'u8' || type === 'u16') return type;
  if (type === 'e4m3') return 'u8';
  return `b${bytesOf(type) * 8}`;
}

type Hints = Omit<CacheHints, 'l2Policy'> & { readonly policy: boolean };

function hints({ l1, l2Prefetch, policy }: Hints): string {
  const level1 = l1 === undefined ? '' : l1 === 'none' ? '.L1::no_allocate' : `.L1::evict_${l1}`;
  const hint = policy ? '.L2::cache_hint' : '';
  return `${level1}${hint}${l2Prefetch === undefined ? '' : `.L2::${l2Prefetch}B`}`;
}

function ordering(o: { volatile?: boolean | undefined; relaxed?: Scope | undefined }): string {
  if (o.volatile) return '.volatile';
  return o.relaxed === undefined ? '' : `.relaxed.${o.relaxed}`;
}

function checkAccess(
  attrs: Fixed<CacheHints> & { readonly strong: number; readonly nc?: boolean | undefined },
): string | undefined {
  const { space, type, vector, l1, l2Prefetch, policy, strong, nc } = attrs;
  const bytes = bytesOf(type) * vector;
  if (bytes > 16) return `${vector} × ${type} are ${bytes} bytes; one access moves at most 16`;
  const hinted = l1 !== undefined || l2Prefetch !== undefined || policy;
  if (space !== 'global' && (hinted || nc)) return `cache hints and nc need global, not ${space}`;
  if (strong > 1) return 'choose one of volatile, acquire/release and relaxed';
  if (strong > 0 && nc) return 'nc loads promise that nobody writes: they cannot be ordered';
  if (strong > 0 && (space === 'const' || space === 'param')) return `${space} cannot be ordered`;
  return undefined;
}

const count = (...flags: unknown[]): number =>
  flags.filter((flag) => flag !== undefined && flag !== false).length;

function needs({
  space,
  l1,
  l2Prefetch,
  policy,
}: Hints & { readonly space: Space }): Requirement | undefined {
  if (space === 'cluster') return { sm: 90, ptx: 78 };
  const hinted = l1 !== undefined || l2Prefetch !== undefined || policy;
  return hinted ? { sm: 80, ptx: 74 } : undefined;
}

const vectorSuffix = (vector: number): string => (vector === 1 ? '' : `.v${vector}`);
const group = (names: readonly string[]): string =>
  names.length === 1 ? names[0] : `{${names.join(', ')}}`;
const at = (base: string, offset: number): string =>
  offset === 0 ? `[${base}]` : `[${base}+${offset}]`;

const isSigned = (type: MemType): boolean => type === 's8' || type === 's16';

/** The simulator's view of a load or store. */
function accessOf(
  attrs: Fixed<LoadOptions & Pick<StoreOptions, 'release'>>,
  site: Site,
  data: readonly number[],
): Access {
  const { offset, type, vector, volatile, acquire, release, relaxed } = attrs;
  return {
    site,
    address: site.s[0],
    offset,
    bytes: bytesOf(type),
    count: vector,
    data,
    signed: isSigned(type),
    strong: count(volatile, acquire, release, relaxed) > 0,
    acquire: acquire !== undefined,
    release: release !== undefined,
    nc: attrs.nc ?? false,
  };
}

/** Reads one, two or four elements. */
export const ld = instruction<Fixed<LoadOptions>>({
  name: 'ld',
  kind: 'load',
  requires: needs,
  polls: ({ volatile, acquire, relaxed }) => count(volatile, acquire, relaxed) > 0,
  check: (attrs) =>
    checkAccess({ ...attrs, strong: count(attrs.volatile, attrs.acquire, attrs.relaxed) }),
  ptx: (attrs, dst, [address, ...policy]) => {
    const order = attrs.acquire === undefined ? ordering(attrs) : `.acquire.${attrs.acquire}`;
    return `ld${order}.${spaceName(attrs.space)}${attrs.nc ? '.nc' : ''}${hints(attrs)}${vectorSuffix(attrs.vector)}.${memoryType(attrs.type)} ${[group(dst), at(address, attrs.offset), ...policy].join(', ')}`;
  },
  warp: (attrs, site) => {
    const access = accessOf(attrs, site, site.d);
    if (attrs.space === 'shared') return (w, mask) => w.shared.load(w, access, mask);
    if (attrs.space === 'cluster') return (w, mask) => w.cluster.load(w, access, mask);
    if (attrs.space === 'const') return (w, mask) => w.constant.load(w, access, mask);
    return (w, mask) => w.global.load(w, access, mask);
  },
});

/** Writes one, two or four elements. */
export const st = instruction<Fixed<StoreOptions>>({
  name: 'st',
  kind: 'store',
  requires: needs,
  check: (attrs) =>
    attrs.space === 'param' || attrs.space === 'const'
      ? `${attrs.space} memory is read-only`
      : checkAccess({ ...attrs, strong: count(attrs.volatile, attrs.release, attrs.relaxed) }),
  ptx: (attrs, _, [address, ...rest]) => {
    const [values, policy] = [rest.slice(0, attrs.vector), rest.slice(attrs.vector)];
    const order = attrs.release === undefined ? ordering(attrs) : `.release.${attrs.release}`;
    return `st${order}.${spaceName(attrs.space)}${hints(attrs)}${vectorSuffix(attrs.vector)}.${memoryType(attrs.type)} ${[at(address, attrs.offset), group(values), ...policy].join(', ')}`;
  },
  warp: (attrs, site) => {
    const access = accessOf(attrs, site, site.s.slice(1, 1 + attrs.vector));
    if (attrs.space === 'shared') return (w, mask) => w.shared.store(w, access, mask);
    if (attrs.space === 'cluster') return (w, mask) => w.cluster.store(w, access, mask);
    return (w, mask) => w.global.store(w, access, mask);
  },
});

/** Reads a kernel parameter by its name. */
export const ldParam = instruction<{
  readonly symbol: string;
  readonly type: MemType;
  /** Offset within the symbol. */
  readonly offset: number;
  /** Offset in the packed parameter buffer. */
  readonly place: number;
}>({
  name: 'ld.param',
  kind: 'move',
  ptx: ({ symbol, type, offset }, [d]) =>
    `ld.param.${memoryType(type)} ${d}, ${at(symbol, offset)}`,
  warp: ({ type, place }, { d: [d] }) => {
    const words = bytesOf(type) / 4;
    return (w) => {
      for (let i = 0; i < words; i++) {
        w.I.fill(w.params[place / 4 + i], d + i * 32, d + i * 32 + 32);
      }
    };
  },
});

/** Asks a cache to fetch a line. */
export const prefetch = instruction<{
  readonly level: 'L1' | 'L2';
  readonly offset: number;
}>({
  name: 'prefetch',
  kind: 'load',
  ptx: ({ level, offset }, _, [address]) => `prefetch.global.${level} ${at(address, offset)}`,
  lane: () => '',
});

/** What the second-level cache can be told to do with lines. */
export type CachePolicy = 'evict_last' | 'evict_first' | 'evict_normal' | 'evict_unchanged';

/** Makes a cache policy for a fraction of the lines it is used on. */
export const createPolicy = instruction<{
  readonly policy: CachePolicy;
  readonly fraction: number;
}>({
  name: 'createpolicy',
  kind: 'move',
  requires: () => ({ sm: 80, ptx: 74 }),
  check: ({ fraction }) =>
    fraction > 0 && fraction <= 1 ? undefined : `the fraction must be in (0, 1], not ${fraction}`,
  ptx: ({ policy, fraction }, [d]) => {
    const share = fraction === 1 ? '1.0' : `${fraction}`;
    return `createpolicy.fractional.L2::${policy}.b64 ${d}, ${share}`;
  },
  // Its bits mean nothing but to the cache.
  lane: (_, [d]) => `${d.lo} = 0; ${d.hi} = 0;`,
});

/** Cache control. */
export const cacheOps = (body: Body) => ({
  /** A policy for `l2Policy` options: which lines the second-level cache keeps. */
  cachePolicy(policy: CachePolicy, fraction = 1): Value<'b64'> {
    return body.one(createPolicy({ policy, fraction }), 'b64', []);
  },
});
