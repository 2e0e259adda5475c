import type { ServedTokenizer } from '../model/served-model.ts';

/** Texts from this length on are worth the way to another thread. */
const longText = 4096;

/** The tokens of a text; long ones are cut in another thread where there is one, so that sockets do not wait. */
export async function encodeText(
  tokenizer: ServedTokenizer,
  text: string,
  options: { readonly addSpecialTokens: boolean },
): Promise<readonly number[]> {
  if (text.length < longText || tokenizer.encodeLong === undefined)
    return tokenizer.encode(text, options);
  return tokenizer.encodeLong(text, options);
}
