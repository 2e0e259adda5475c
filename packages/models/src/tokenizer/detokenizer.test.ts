import { expect, it } from 'vitest';
import { Detokenizer } from './detokenizer.ts';
import type { Tokenizer } from './tokenizer.ts';

/** Tokens are bytes, 256 is special. Counts the tokens that it decodes. */
class Bytes {
  decoded = 0;
  decode(tokens: readonly number[]): string {
    this.decoded += tokens.length;
    return Buffer.from(tokens.filter((token) => token < 256)).toString('utf8');
  }
  isSpecial(token: number): boolean {
    return token === 256;
  }
}
const over = (bytes: Bytes) => new Detokenizer(bytes as unknown as Tokenizer);

it('gives what decoding everything at once gives, however bytes are cut and wrong', () => {
  let state = 7;
  const random = (below: number) => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return (state >>> 8) % below;
  };
  const pieces = ['a', 'é', '世', '🙂', '\ufffd'].map((text) => [...Buffer.from(text)]);
  const wrong = [[0xff], [0x80], [0xe4], [0xe4, 0xb8], [0xf0, 0x9f, 0x99], [0xc0], [0xed, 0xa0]];
  for (let run = 0; run < 400; run++) {
    const all = [...pieces, ...wrong, ...wrong];
    const tokens = Array.from({ length: 40 }, () => all[random(all.length)] ?? []).flat();
    for (let i = random(9); i < tokens.length; i += 9) tokens.splice(i, 0, 256);
    const bytes = new Bytes();
    const detokenizer = over(bytes);
    const text = tokens.map((token) => detokenizer.push(token)).join('') + detokenizer.flush();
    expect(text).toBe(bytes.decode(tokens));
  }
});

it('decodes a few tokens for each that comes, though none of them ever is text', () => {
  const bytes = new Bytes();
  const detokenizer = over(bytes);
  let length = 0;
  for (let i = 0; i < 20_000; i++) length += detokenizer.push(i % 3 === 0 ? 0xe4 : 0xff).length;
  expect(length + detokenizer.flush().length).toBe(20_000);
  expect(bytes.decoded).toBeLessThan(20_000 * 30);
});
