import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FreeList, type Span } from './free-list.ts';

const unit = 64;

describe('FreeList', () => {
  it('never gives out overlapping spans, loses nothing, and merges neighbours', () => {
    const step = fc.oneof(
      fc.record({ take: fc.integer({ min: 1, max: 40 }) }),
      fc.record({ give: fc.nat(200) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const list = new FreeList(1000 * unit);
        list.grow(1200 * unit);
        const taken: Span[] = [];
        for (const s of steps) {
          if ('take' in s) {
            const before = list.freeBytes;
            const span = list.take(s.take * unit);
            if (!span) {
              expect(list.freeBytes).toBe(before);
              continue;
            }
            expect(span.byteLength).toBe(s.take * unit);
            expect(span.address).toBeGreaterThanOrEqual(1000 * unit);
            expect(span.address + span.byteLength).toBeLessThanOrEqual(1200 * unit);
            for (const other of taken) {
              const apart =
                span.address + span.byteLength <= other.address ||
                other.address + other.byteLength <= span.address;
              expect(apart).toBe(true);
            }
            taken.push(span);
          } else if (taken.length > 0) {
            list.give(taken.splice(s.give % taken.length, 1)[0] as Span);
          }
          const held = taken.reduce((sum, span) => sum + span.byteLength, 0);
          expect(list.freeBytes).toBe(200 * unit - held);
        }
        for (const span of taken) list.give(span);
        // Only if all pieces are one again does the whole fit.
        expect(list.take(200 * unit)).toEqual({ address: 1000 * unit, byteLength: 200 * unit });
      }),
    );
  });

  it('takes the smallest span that fits and says what growth is missing', () => {
    const list = new FreeList(0);
    list.grow(1000);
    const [a, b, c] = [list.take(300), list.take(100), list.take(200)] as Span[];
    list.give(a as Span);
    list.give(c as Span);
    list.give(b as Span);
    expect(list.freeBytes).toBe(1000);
    const [d, e, f] = [list.take(300), list.take(50), list.take(100)] as Span[];
    list.give(d as Span);
    list.give(f as Span);
    // Free: 300 at 0 and 650 at 350.
    expect(list.take(250)?.address).toBe(0);
    expect(e?.address).toBe(300);
    expect(list.missing(650)).toBe(0);
    expect(list.missing(700)).toBe(50);
    list.grow(1050);
    expect(list.take(700)?.address).toBe(350);
  });
});
