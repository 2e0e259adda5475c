import { describe, expect, it } from 'vitest';
import { Thoughts } from './thoughts.ts';

/** What of a text is thought and what is said, when it comes in pieces of `size` characters. */
function split(text: string, size: number, isThinking = false) {
  const thoughts = new Thoughts(isThinking);
  const said = { thought: '', answer: '' };
  const pieces = text.match(new RegExp(`.{1,${size}}`, 'gs')) ?? [];
  for (const part of [...pieces.flatMap((piece) => thoughts.push(piece)), ...thoughts.flush()]) {
    said[part.kind] += part.text;
  }
  return said;
}

describe('Thoughts', () => {
  it.each([1, 2, 5, 100])('are told from the answer in pieces of %i characters', (size) => {
    const text = '<think>2 < 3, so <thin>.</think>It is 3.<think>Done?</think>';
    const said = { thought: '2 < 3, so <thin>.Done?', answer: 'It is 3.' };
    expect(split(text, size)).toEqual(said);
  });

  it('may have begun in the prompt, and may not end', () => {
    expect(split('so 3</think>3', 2, true)).toEqual({ thought: 'so 3', answer: '3' });
    expect(split('<think>so</thi', 3)).toEqual({ thought: 'so</thi', answer: '' });
    expect(split('a </think', 3)).toEqual({ thought: '', answer: 'a </think' });
  });
});
