import { describe, expect, it } from 'vitest';
import {
  array,
  DeclarationError,
  defineKernel,
  field,
  global,
  sharedLayout,
  struct,
  union,
} from '../index.ts';
import { runKernel } from '../testing/run.ts';

describe('sharedLayout', () => {
  it('places fields by alignment, and members of a union over one another', () => {
    const layout = sharedLayout({
      flags: field('u32', [3]),
      tiles: field('bf16', [2, 8, 64], { swizzle: '128B' }),
      stage: union({
        scores: field('f32', [4, 10], { padding: 8 }),
        out: struct({ a: field('u8', [100]), b: field('u64', [4]) }),
      }),
      rest: field('u32', [0]),
    });
    expect(layout.fields.map(({ name, offset, bytes }) => [name, offset, bytes])).toEqual([
      ['flags', 0, 12],
      ['tiles', 1024, 2048],
      ['stage.scores', 3072, 192],
      ['stage.out.a', 3072, 100],
      ['stage.out.b', 3184, 32],
      ['rest', 3264, 0],
    ]);
    expect(layout.bytes).toBe(3264);
  });

  it('refuses what does not fit together', () => {
    const layout = (f: ReturnType<typeof field>) => () => sharedLayout({ f });
    expect(layout(field('bf16', [8, 40], { swizzle: '128B' }))).toThrow(/"f".*80 bytes.*128/);
    expect(layout(field('bf16', [64], { swizzle: '128B' }))).toThrow('a swizzle needs rows');
    expect(layout(field('bf16', [8, 64], { swizzle: '128B', padding: 16 }))).toThrow(
      'either padding',
    );
    expect(layout(field('bf16', [8, 64], { arrangement: 'tiles' }))).toThrow(
      'tiles take their width',
    );
    expect(layout(field('u8', [4], { align: 24 }))).toThrow('no power of two');
    expect(layout(field('u8', [-1]))).toThrow(DeclarationError);
  });

  it('is held against the architecture', () => {
    const kernel = defineKernel(
      { name: 'big', params: {}, shared: { a: field('u8', [110_000]) }, block: [32] },
      () => {},
    );
    expect(kernel.sharedBytes).toBe(110_000);
    expect(() => kernel.program('sm_86')).toThrow(
      '110000 bytes of shared memory, sm_86 has 101376',
    );
    expect(kernel.program('sm_80').sharedBytes).toBe(110_000);
  });
});

describe('swizzled addresses', () => {
  for (const [swizzle, arrangement] of [
    ['128B', 'rows'],
    ['128B', 'tiles'],
    ['64B', 'tiles'],
    ['32B', 'rows'],
  ] as const) {
    it(`${swizzle} in ${arrangement} put every element in a place of its own, whichever way they are computed`, () => {
      const [rows, columns] = [16, 128];
      const shared = { f: field('u16', [2, rows, columns], { swizzle, arrangement }) };
      const { out } = runKernel({ shared, outputs: 4 * rows }, (k) => {
        const { f } = k.shared;
        // Written with everything variable …
        k.for({ to: 2 * rows }, (r) => {
          for (let c = 0; c < columns; c += 32) {
            const column = k.laneId.add(c);
            f.at(r.shr(4), r.and(15), column).store(k.mad(r, columns, column));
          }
        });
        k.syncWarp();
        // … and read with constant columns, constant rows, and constants only.
        const row = f.row(1, k.laneId.and(15));
        k.params.out.at(k.laneId.and(15)).store(row.at(69).load());
        for (let r = 0; r < rows; r++) {
          k.params.out.at(rows + r).store(f.at(0, r, k.params.n.add(77)).load());
          k.params.out.at(2 * rows + r).store(f.at(1, r, 9).load());
        }
        k.params.out.at(k.laneId.and(15).add(3 * rows)).store(row.at(k.laneId.and(15)).load());
      });
      const want = (stage: number, r: number, c: number) => (stage * rows + r) * columns + c;
      const every = (f: (r: number) => number) => Array.from({ length: rows }, (_, r) => f(r));
      expect([...out]).toEqual([
        ...every((r) => want(1, r, 69)),
        ...every((r) => want(0, r, 77)),
        ...every((r) => want(1, r, 9)),
        ...every((r) => want(1, r, r)),
      ]);
    });
  }

  it('lie as TMA and wgmma expect: 16-byte chunks XORed with the row within 1024 bytes', () => {
    const shared = { f: field('u16', [8, 128], { swizzle: '128B', arrangement: 'tiles' }) };
    const { out } = runKernel({ shared, outputs: 1024 }, (k) => {
      k.for({ to: 8 }, (r) => {
        for (let c = 0; c < 128; c += 32) {
          k.shared.f.at(r, k.laneId.add(c)).store(k.mad(r, 128, k.laneId.add(c)));
        }
      });
      k.syncWarp();
      for (let i = 0; i < 1024; i += 32) {
        k.params.out.at(k.laneId.add(i)).store(k.shared.f.pointer.at(k.laneId.add(i)).load());
      }
    });
    for (let r = 0; r < 8; r++) {
      for (let c = 0; c < 128; c++) {
        const chunk = Math.floor((c % 64) / 8) ^ r;
        expect(out[Math.floor(c / 64) * 512 + r * 64 + chunk * 8 + (c % 8)]).toBe(r * 128 + c);
      }
    }
  });

  it('are checked against the shape while building', () => {
    const shared = { f: field('u16', [8, 64], { swizzle: '128B' }) };
    expect(() => runKernel({ shared }, (k) => k.shared.f.at(8, 0).store(1))).toThrow(
      /index 8 is outside dimension 0 of shared field "f"/,
    );
    expect(() => runKernel({ shared }, (k) => k.shared.f.at(1).store(1))).toThrow(
      /has 2 dimensions \[8, 64\], not 1/,
    );
  });
});

describe('parameters', () => {
  const kernel = defineKernel(
    {
      name: 'params',
      params: { a: 'u32', p: global('f32'), b: 's32', s: array('u64', 2), f: 'f32' },
      block: [32],
    },
    (k, { a, p }) => p.store(k.toF32(a)),
  );

  it('are packed at their natural alignment', () => {
    const bytes = kernel.packParams({ a: 7, p: 0x1122334455667788n, b: -2, s: [1, 2n], f: 1.5 });
    const view = new DataView(bytes.buffer);
    expect(bytes.length).toBe(44);
    expect(view.getUint32(0, true)).toBe(7);
    expect(view.getBigUint64(8, true)).toBe(0x1122334455667788n);
    expect(view.getInt32(16, true)).toBe(-2);
    expect([view.getBigUint64(24, true), view.getBigUint64(32, true)]).toEqual([1n, 2n]);
    expect(view.getFloat32(40, true)).toBe(1.5);
  });

  it('are checked by name, count and range', () => {
    const good = { a: 7, p: 0, b: -2, s: [1, 2], f: 0 };
    expect(() => kernel.packParams({ ...good, a: -1 })).toThrow(
      'parameter "a" must be u32, got -1',
    );
    expect(() => kernel.packParams({ ...good, a: 1.5 })).toThrow('must be u32');
    expect(() => kernel.packParams({ ...good, s: [1] })).toThrow('needs 2 value(s) of u64, got 1');
    expect(() => kernel.packParams({ ...good, extra: 1 } as typeof good)).toThrow(
      'no parameter "extra"',
    );
  });

  it('must have usable names and sizes', () => {
    const declare = (params: Record<string, 'u32' | ReturnType<typeof array>>) => () =>
      defineKernel({ name: 'k', params, block: [32] }, () => {});
    expect(declare({ 'a-b': 'u32' })).toThrow(DeclarationError);
    expect(declare({ a: array('u64', 600) })).toThrow('4800 bytes; the limit is 4096');
    expect(() => defineKernel({ name: '1k', params: {}, block: [32] }, () => {})).toThrow(
      'kernel name',
    );
    expect(() => defineKernel({ name: 'k', params: {}, block: [2048] }, () => {})).toThrow(
      'at most 1024',
    );
  });
});
