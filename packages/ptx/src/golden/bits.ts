import { elementwise, type GoldenCase } from './case.ts';
import { data, ints, longs, pairs, random } from './data.ts';

const family = 'bits';
const shifts = [0, 1, 7, 15, 16, 31, 32, 33, 63, 64, 65, 255, 256, 0xffffffff];

/** Shifts, bit fields, permutations and boolean functions. */
export function bitCases(): GoldenCase[] {
  const few = ints.filter((_, i) => i % 3 === 0);
  const a = few.flatMap((x) => shifts.map(() => x));
  const n = data(
    'u32',
    few.flatMap(() => shifts),
  );
  const p = longs.flatMap((x) => shifts.map(() => x));
  const m = data(
    'u32',
    longs.flatMap(() => shifts),
  );
  const fields = [
    [0, 8],
    [4, 4],
    [28, 8],
    [31, 1],
    [31, 2],
    [32, 4],
    [0, 0],
    [0, 32],
    [5, 33],
    [255, 1],
    [256, 8],
    [3, 29],
  ];
  const word = few.flatMap((x) => fields.map(() => x));
  const position = data(
    'u32',
    few.flatMap(() => fields.map(([at]) => at)),
  );
  const length = data(
    'u32',
    few.flatMap(() => fields.map(([, count]) => count)),
  );
  const x = random('b32', 256, 11);
  const y = random('b32', 256, 12);
  const z = random('b32', 256, 13);
  const all = data('b32', ints);
  const [i, j] = pairs(ints.filter((_, at) => at % 4 === 0));
  const [s, t] = pairs(longs);
  return [
    elementwise(family, 'shl.b32', [data('b32', a), n], 'b32', (_, u, v) => u.shl(v)),
    elementwise(family, 'shr.u32', [data('u32', a), n], 'u32', (_, u, v) => u.shr(v)),
    elementwise(family, 'shr.s32', [data('s32', a), n], 's32', (_, u, v) => u.shr(v)),
    elementwise(family, 'shl.b64', [data('b64', p), m], 'b64', (_, u, v) => u.shl(v)),
    elementwise(family, 'shr.u64', [data('u64', p), m], 'u64', (_, u, v) => u.shr(v)),
    elementwise(family, 'shr.s64', [data('s64', p), m], 's64', (_, u, v) => u.shr(v)),
    elementwise(family, 'shf.l', [x, y, n256(shifts)], 'b32', (k, u, v, w) =>
      k.funnelLeft(u, v, w),
    ),
    elementwise(family, 'shf.r', [x, y, n256(shifts)], 'b32', (k, u, v, w) =>
      k.funnelRight(u, v, w),
    ),
    elementwise(family, 'bfe.u32', [data('u32', word), position, length], 'u32', (k, u, v, w) =>
      k.bfe(u, v, w),
    ),
    elementwise(family, 'bfe.s32', [data('s32', word), position, length], 's32', (k, u, v, w) =>
      k.bfe(u, v, w),
    ),
    elementwise(family, 'bfi.b32', [data('b32', word), position, length], 'b32', (k, u, v, w) =>
      k.bfi(0xa5c3f00f, u, v, w),
    ),
    elementwise(family, 'popc.b32', [all], 'u32', (k, u) => k.popc(u)),
    elementwise(family, 'clz.b32', [all], 'u32', (k, u) => k.clz(u)),
    elementwise(family, 'brev.b32', [all], 'b32', (k, u) => k.brev(u)),
    elementwise(family, 'prmt.b32', [x, y, z], 'b32', (k, u, v, w) => k.prmt(u, v, w)),
    elementwise(family, 'lop3.0x96', [x, y, z], 'b32', (k, u, v, w) => k.lop3(u, v, w, 0x96)),
    elementwise(family, 'lop3.0xe8', [x, y, z], 'b32', (k, u, v, w) => k.lop3(u, v, w, 0xe8)),
    elementwise(family, 'lop3.0x1d', [x, y, z], 'b32', (k, u, v, w) => k.lop3(u, v, w, 0x1d)),
    elementwise(family, 'and.b32', [data('b32', i), data('b32', j)], 'b32', (_, u, v) => u.and(v)),
    elementwise(family, 'or.b32', [data('b32', i), data('b32', j)], 'b32', (_, u, v) => u.or(v)),
    elementwise(family, 'xor.b32', [data('b32', i), data('b32', j)], 'b32', (_, u, v) => u.xor(v)),
    elementwise(family, 'not.b32', [all], 'b32', (_, u) => u.not()),
    elementwise(family, 'and.b64', [data('b64', s), data('b64', t)], 'b64', (_, u, v) => u.and(v)),
    elementwise(family, 'or.b64', [data('b64', s), data('b64', t)], 'b64', (_, u, v) => u.or(v)),
    elementwise(family, 'xor.b64', [data('b64', s), data('b64', t)], 'b64', (_, u, v) => u.xor(v)),
    elementwise(family, 'not.b64', [data('b64', longs)], 'b64', (_, u) => u.not()),
  ];
}

const n256 = (values: readonly number[]) =>
  data(
    'u32',
    Array.from({ length: 256 }, (_, i) => values[i % values.length]),
  );
