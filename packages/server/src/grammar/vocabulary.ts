import type { ServedModel } from '../model/served-model.ts';
import { markTokens } from '../output/marks.ts';

/** The tokens of a model in the form that a grammar compiler takes; it can be sent to a worker. */
export interface GrammarVocabulary {
  /** What each token spells, in the alphabet of byte-level tokenizers; '' for what spells nothing. */
  readonly tokens: readonly string[];
  readonly stopTokens: readonly number[];
}

/** Special tokens spell nothing, so no grammar asks for them, but for the marks of calls and thoughts. */
export function grammarVocabulary({
  stopTokens,
  tokenizer,
  vocabularySize,
}: ServedModel): GrammarVocabulary {
  const marks = markTokens(tokenizer, true);
  const tokens = Array.from({ length: vocabularySize }, (_, token) => {
    const bytes =
      tokenizer.isSpecial(token) && !marks.has(token) ? undefined : tokenizer.bytesOf(token);
    return bytes === undefined ? '' : Array.from(bytes, (byte) => alphabet[byte] ?? '').join('');
  });
  return { tokens, stopTokens };
}

/**
 * A visible character for each byte, as GPT-2's tokenizer has them: printable ones stand for themselves,
 * the others are moved up.
 */
const alphabet: readonly string[] = (() => {
  const isVisible = (byte: number) =>
    (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
  let moved = 256;
  return Array.from({ length: 256 }, (_, byte) =>
    String.fromCharCode(isVisible(byte) ? byte : moved++),
  );
})();
