import type { FragmentOf, MmaType } from '../instructions/matrix.ts';
import { mmaDepth } from '../instructions/matrix.ts';
import { bytesOf } from '../ir/types.ts';
import { field } from '../layout/shared.ts';
import { type GoldenCase, type Tolerance, warpCase } from './case.ts';
import { data, generator, uniform, wide } from './data.ts';

const family = 'wgmma';
const rows = 64;
const threads = 128;

/** What varies in the product of a warp group. */
export interface ProductShape {
  readonly type: MmaType;
  readonly columns: number;
  /** Elements of the depth: one or two tiles. */
  readonly depth: number;
  /** Where A comes from and how it lies there. */
  readonly a?: 'kMajor' | 'mnMajor' | 'registers';
  readonly b?: 'kMajor' | 'mnMajor';
  readonly swizzle?: '128B' | '64B' | '32B';
  /** Columns of B in memory, and the one that the product starts at, where it does not take all. */
  readonly part?: { readonly width: number; readonly first: number };
  /** What the accumulator starts from. */
  readonly start?: 'numbers' | 'nothing';
}

/** Elements of both matrices, A first, each in the order of its rows in memory. */
const elementsOf = ({ columns, depth, part }: ProductShape): number =>
  (rows + (part?.width ?? columns)) * depth;

/** A product of a warp group: matrices go through shared memory, results out by thread. */
function productCase(
  name: string,
  shape: ProductShape,
  input: Uint8Array<ArrayBuffer>,
  tolerance: Tolerance,
): GoldenCase {
  const { type, columns, depth, a = 'kMajor', b = 'kMajor', start = 'numbers' } = shape;
  const { swizzle = '128B', part = { width: columns, first: 0 } } = shape;
  const size = bytesOf(type);
  const options = { swizzle, arrangement: 'tiles' } as const;
  const shapeOf = (lines: number, transposed: boolean) =>
    transposed ? [depth, lines] : [lines, depth];
  const shared = {
    a: field(type, shapeOf(rows, a === 'mnMajor'), options),
    b: field(type, shapeOf(part.width, b === 'mnMajor'), options),
  };
  const step = mmaDepth[type];
  return warpCase(
    family,
    name,
    {
      input: { type: 'b32', bytes: input },
      output: 'f32',
      count: rows * columns,
      shared,
      threads,
      tolerance,
    },
    (k) => {
      const thread = k.threadIdx.x;
      const perChunk = 16 / size;
      const fill = (to: typeof k.shared.a, [lines, width]: readonly number[], first: number) => {
        const perRow = width / perChunk;
        k.for({ from: thread, to: lines * perRow, step: threads }, (chunk) => {
          const place = to.at(chunk.div(perRow), chunk.rem(perRow).mul(perChunk));
          const from = k.params.x.at((first * size) / 4).at(chunk.shl(2));
          place.as('b32').storeVec(from.loadVec(4));
        });
      };
      fill(k.shared.a, shared.a.shape, 0);
      fill(k.shared.b, shared.b.shape, rows * depth);
      k.fenceProxyAsync('shared::cta');
      k.barrier();
      const acc = k.vars('f32', columns / 2);
      if (start === 'numbers') {
        acc.forEach((c, i) => {
          c.set(k.toF32(thread.and(63)).add(i));
        });
      }
      const fragments = (from: number) => {
        const words = (depth * size) / 4;
        const row = k.mad(k.warpId, 16, k.laneId.shr(2));
        const first = k.params.x.at(k.mad(row, words, k.laneId.and(3))).at((from * size) / 4);
        const register = ({ f16: 'f16x2', bf16: 'bf16x2', e4m3: 'e4m3x4' } as const)[type];
        return [0, 1, 2, 3].map((r) =>
          first
            .at((r & 1) * 8 * words + (r >> 1) * 4)
            .load()
            .as(register as FragmentOf<MmaType>),
        );
      };
      const steps = Array.from({ length: depth / step }, (_, i) => i * step);
      const registers = a === 'registers' ? steps.map(fragments) : [];
      const matrixOf = (of: typeof k.shared.a, transposed: boolean, from: number, first = 0) =>
        transposed ? of.mnMajor(0, first).at(from, 0) : of.kMajor(first, 0).at(0, from);
      k.wgmmaFence();
      steps.forEach((from, i) => {
        const left = registers[i] ?? matrixOf(k.shared.a, a === 'mnMajor', from);
        const right = matrixOf(k.shared.b as typeof k.shared.a, b === 'mnMajor', from, part.first);
        k.wgmma(type, acc, left, right, { accumulate: i > 0 || start === 'numbers' });
      });
      k.wgmmaCommit();
      k.wgmmaWait(0);
      acc.forEach((c, i) => {
        k.params.out
          .at(thread)
          .at(i * threads)
          .store(c);
      });
    },
  );
}

/** Small integers: every sum is exact, so a wrong position shows as a wrong bit. */
function integers(shape: ProductShape): Uint8Array<ArrayBuffer> {
  const next = generator(shape.columns + shape.depth);
  const count = elementsOf(shape);
  if (shape.type === 'e4m3') {
    const codes = [0, 0x38, 0xb8, 0x40, 0xc4, 0x30, 0x48];
    const values = Array.from({ length: count }, () => codes[(next() >>> 8) % codes.length]);
    return data('u8', values).bytes;
  }
  const values = Array.from({ length: count }, () => ((next() >>> 8) % 17) - 8);
  return data(shape.type, values).bytes;
}

const exact: Tolerance = { kind: 'exact' };

/** Products of small integers: every sum is exact. */
export const positions: readonly (readonly [string, ProductShape])[] = [
  ['bf16 n8', { type: 'bf16', columns: 8, depth: 64 }],
  ['bf16 n16', { type: 'bf16', columns: 16, depth: 64 }],
  ['bf16 n64 two tiles', { type: 'bf16', columns: 64, depth: 128 }],
  ['bf16 n256', { type: 'bf16', columns: 256, depth: 64 }],
  ['bf16 n64 overwritten', { type: 'bf16', columns: 64, depth: 64, start: 'nothing' }],
  ['bf16 n24 64B', { type: 'bf16', columns: 24, depth: 64, swizzle: '64B' }],
  ['bf16 n24 32B', { type: 'bf16', columns: 24, depth: 32, swizzle: '32B' }],
  ['f16 n64', { type: 'f16', columns: 64, depth: 64 }],
  ['e4m3 n64', { type: 'e4m3', columns: 64, depth: 128 }],
  ['bf16 n64 registers', { type: 'bf16', columns: 64, depth: 64, a: 'registers' }],
  ['f16 n16 registers', { type: 'f16', columns: 16, depth: 64, a: 'registers' }],
  ['e4m3 n64 registers', { type: 'e4m3', columns: 64, depth: 128, a: 'registers' }],
  ['bf16 n64 B transposed', { type: 'bf16', columns: 64, depth: 64, b: 'mnMajor' }],
  ['bf16 n256 B transposed', { type: 'bf16', columns: 256, depth: 64, b: 'mnMajor' }],
  [
    'bf16 n128 registers, B transposed',
    { type: 'bf16', columns: 128, depth: 64, a: 'registers', b: 'mnMajor' },
  ],
  [
    'f16 n64 B transposed 64B',
    { type: 'f16', columns: 64, depth: 32, b: 'mnMajor', swizzle: '64B' },
  ],
  [
    'bf16 n16 B transposed, inside a tile',
    { type: 'bf16', columns: 16, depth: 64, b: 'mnMajor', part: { width: 64, first: 24 } },
  ],
  [
    'bf16 n16 of more rows',
    { type: 'bf16', columns: 16, depth: 64, part: { width: 64, first: 40 } },
  ],
  ['bf16 n16 A transposed', { type: 'bf16', columns: 16, depth: 64, a: 'mnMajor' }],
  ['f16 n8 A transposed', { type: 'f16', columns: 8, depth: 64, a: 'mnMajor' }],
  [
    'bf16 n64 both transposed',
    { type: 'bf16', columns: 64, depth: 64, a: 'mnMajor', b: 'mnMajor' },
  ],
];

/** Products of warp groups: where every element belongs, and how sums are rounded. */
export function wgmmaCases(): GoldenCase[] {
  const cases = positions.map(([name, shape]) =>
    productCase(`wgmma.${name}`, shape, integers(shape), exact),
  );
  const close = (largest: number, bits: number): Tolerance => ({
    kind: 'close',
    absolute: largest * 2 ** -bits,
    relative: 2 ** -bits,
  });
  const n8 = (type: MmaType, start: ProductShape['start'] = 'nothing'): ProductShape => ({
    type,
    columns: 8,
    depth: type === 'e4m3' ? 128 : 64,
    start,
  });
  const count = elementsOf(n8('bf16'));
  for (const type of ['f16', 'bf16'] as const) {
    const numbers = uniform(type, count, 91).bytes;
    cases.push(
      productCase(`wgmma.${type} uniform`, n8(type), numbers, close(4, 18)),
      productCase(`wgmma.${type} added`, n8(type, 'numbers'), numbers, close(128, 18)),
    );
  }
  const special = [Infinity, -Infinity, Number.NaN, 65504, 0, -0, 1, 2 ** -24];
  const some = Array.from({ length: count }, (_, i) => (i % 97 === 0 ? special[(i / 97) % 8] : 1));
  cases.push(
    productCase(
      'wgmma.f16 wide',
      n8('f16'),
      wide('f16', count, 92, [-14, 8]).bytes,
      close(2 ** 22, 20),
    ),
    productCase(
      'wgmma.bf16 wide',
      n8('bf16'),
      wide('bf16', count, 93, [-20, 20]).bytes,
      close(2 ** 46, 20),
    ),
    productCase(
      'wgmma.bf16 tiny',
      n8('bf16'),
      wide('bf16', count, 94, [-80, -60]).bytes,
      close(2 ** -110, 20),
    ),
    productCase('wgmma.f16 special', n8('f16'), data('f16', some).bytes, close(2 ** 17, 18)),
    productCase('wgmma.bf16 special', n8('bf16'), data('bf16', some).bytes, close(2 ** 17, 18)),
  );
  // The sums of e4m3 keep 13 bits only.
  const next = generator(95);
  const codes = Array.from({ length: elementsOf(n8('e4m3')) }, () => {
    const code = next() & 0xff;
    return (code & 0x7f) === 0x7f ? code ^ 1 : code;
  });
  const fractions = codes.map((code) => (code & 0x80) | ((code & 0x7f) % 0x38));
  cases.push(
    productCase('wgmma.e4m3 uniform', n8('e4m3'), data('u8', fractions).bytes, close(1, 6)),
    productCase(
      'wgmma.e4m3 added',
      n8('e4m3', 'numbers'),
      data('u8', fractions).bytes,
      close(64, 6),
    ),
    productCase('wgmma.e4m3 wide', n8('e4m3'), data('u8', codes).bytes, close(2 ** 18, 6)),
  );
  const nothing = { type: 'b32', bytes: new Uint8Array(4) } as const;
  cases.push(
    warpCase(family, 'elect.sync', { input: nothing, output: 'u32', count: 32 }, (k) => {
      k.params.out.at(k.laneId).store(k.select(k.electSync(), 1, 0, 'u32'));
    }),
  );
  return cases;
}
