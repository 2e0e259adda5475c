import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { jumpProgram, type Step } from '../golden/programs.ts';
import type { Line } from './program.ts';

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('label' as const) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('jump' as const),
      mnemonic: fc.constantFrom('jmp', 'jne', 'jl', 'ja', 'call'),
      to: fc.nat(100),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('filler' as const), bytes: fc.nat(90) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('align' as const),
      bytes: fc.constantFrom(2, 8, 16, 32, 64),
    }),
  },
);
const steps = fc.array(step, { maxLength: 80, size: 'max' });

/** How far a jump goes, by its bytes: from its end. */
function distanceOf({ bytes }: Line): { distance: number; short: boolean } {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const short = bytes.length === 2;
  const distance = short ? view.getInt8(1) : view.getInt32(bytes.length - 4, true);
  return { distance, short };
}

const isJump = ({ text, kind }: Line) => kind === 'instruction' && /^(j|call)/.test(text);

describe('relaxation', () => {
  it('makes every jump land on its label, in the shortest form that reaches', () => {
    let near = 0;
    let short = 0;
    fc.assert(
      fc.property(steps, (list) => {
        const aligned = list.some(({ kind }) => kind === 'align');
        const { lines, labels } = jumpProgram(list);
        for (const line of lines.filter(isJump)) {
          const { distance, short: isShort } = distanceOf(line);
          const target = labels.get(line.text.split(' ')[1]);
          if (line.address + line.bytes.length + distance !== target) throw new Error(line.text);
          if (isShort) short++;
          else if (!line.text.startsWith('call')) {
            near++;
            // A shorter form would have brought the target nearer by the bytes that it saves.
            const saved = distance < 0 ? line.bytes.length - 2 : 0;
            const reaches = distance + saved >= -128 && distance <= 127;
            if (!aligned && reaches) throw new Error(`${line.text} could be short`);
          }
        }
      }),
      { numRuns: 100 },
    );
    expect(Math.min(near, short)).toBeGreaterThan(50);
  });

  it('keeps lines contiguous and aligns what was to be aligned', () => {
    fc.assert(
      fc.property(steps, (list) => {
        const { lines, bytes } = jumpProgram(list);
        const wanted = list.flatMap((s) => (s.kind === 'align' ? [s.bytes] : []));
        const padded = lines.filter(({ kind }) => kind === 'padding');
        expect(padded.length).toBe(wanted.length);
        for (const [i, { address, bytes: nops }] of padded.entries()) {
          expect((address + nops.length) % wanted[i]).toBe(0);
          expect(nops.length).toBeLessThan(wanted[i]);
        }
        let end = 0;
        for (const line of lines) {
          if (line.address !== end) throw new Error(`${line.text} is not at ${end}`);
          end += line.bytes.length;
        }
        expect(bytes.length).toBe(end);
      }),
      { numRuns: 100 },
    );
  });

  it('lets a jump that grows push another out of reach', () => {
    // Both jumps reach exactly as long as the other is short.
    const list: Step[] = [
      { kind: 'jump', mnemonic: 'jmp', to: 0 },
      { kind: 'jump', mnemonic: 'jmp', to: 1 },
      { kind: 'filler', bytes: 125 },
      { kind: 'label' },
      { kind: 'filler', bytes: 10 },
      { kind: 'label' },
    ];
    const jumps = jumpProgram(list).lines.filter(isJump);
    expect(jumps.map(({ bytes }) => bytes.length)).toEqual([5, 5]);
  });
});
