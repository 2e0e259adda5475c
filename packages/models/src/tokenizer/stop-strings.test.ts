import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { StopStrings } from './stop-strings.ts';

/** Feeds the pieces until a stop string is met, as generation does. */
function run(stops: readonly string[], pieces: readonly string[]) {
  const finder = new StopStrings(stops);
  let text = '';
  for (const piece of pieces) {
    const result = finder.push(piece);
    text += result.text;
    if (result.stop !== undefined) return { text, stop: result.stop };
  }
  return { text: text + finder.flush(), stop: undefined };
}

describe('StopStrings', () => {
  it('finds a stop string over the borders of pieces and holds back its begin', () => {
    const finder = new StopStrings(['</end>', 'STOP']);
    expect(finder.push('one <')).toEqual({ text: 'one ', stop: undefined });
    expect(finder.push('/e')).toEqual({ text: '', stop: undefined });
    expect(finder.push('x</end')).toEqual({ text: '</ex', stop: undefined });
    expect(finder.push('> two')).toEqual({ text: '', stop: '</end>' });
  });

  it('takes the stop string that begins first', () => {
    expect(run(['b', 'ab'], ['xxab'])).toEqual({ text: 'xx', stop: 'ab' });
  });

  it('finds what a search in the whole text finds, however it is cut', () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 6 });
    fc.assert(
      fc.property(fc.array(letters, { maxLength: 3 }), fc.array(letters), (stops, pieces) => {
        const whole = pieces.join('');
        const ends = stops
          .filter((stop) => stop !== '' && whole.includes(stop))
          .map((stop) => whole.indexOf(stop));
        const { text, stop } = run(stops, pieces);
        if (ends.length === 0) expect({ text, stop }).toEqual({ text: whole, stop: undefined });
        else {
          // The piece that completes one of them ends the text; one that begins earlier may need more.
          expect(stop).toBeDefined();
          expect(whole.startsWith(text + stop)).toBe(true);
        }
      }),
      { seed: 16, numRuns: 2000 },
    );
  });
});
