import { makeBatch } from '../layers/batch.ts';
import type { Decoder } from '../layers/decoder.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';

/** Mean cross-entropy of every token but a text's first, in nats. */
export async function heldOutLoss<Matrix>(
  decoder: Decoder<Matrix>,
  tokenizer: Tokenizer,
  texts: readonly string[],
): Promise<{ readonly loss: number; readonly tokens: number }> {
  let sum = 0;
  let count = 0;
  for (const text of texts) {
    const tokens = tokenizer.encode(text, { addSpecialTokens: false });
    const pages = Array.from({ length: Math.ceil(tokens.length / 64) }, (_, i) => i);
    const batch = makeBatch([{ tokens, start: 0, pages }]);
    const rows = Int32Array.from({ length: tokens.length - 1 }, (_, row) => row);
    const cache = decoder.createCache(pages.length);
    const { logits, vocabSize } = await decoder.forward(batch, cache, rows);
    for (const row of rows) {
      const own = logits.subarray(row * vocabSize, (row + 1) * vocabSize);
      const max = own.reduce((most, value) => Math.max(most, value), -Infinity);
      const exponentials = own.reduce((total, value) => total + Math.exp(value - max), 0);
      sum += Math.log(exponentials) + max - (own[tokens[row + 1] as number] as number);
      count++;
    }
  }
  return { loss: sum / count, tokens: count };
}
