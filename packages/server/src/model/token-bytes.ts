/** Of a tokenizer.json, what says how tokens are spelt. */
interface TokenizerJson {
  readonly model?: { readonly vocab?: unknown };
  readonly decoder?: unknown;
  readonly added_tokens?: readonly { readonly id: number; readonly content: string }[];
}

/**
 * The bytes that each token stands for, by its number. Tokenizers spell bytes in one of two ways: with a
 * visible character for each (GPT-2's alphabet), or as text with `▁` for a blank and `<0x0A>` for a byte.
 *
 * @param json the text of a tokenizer.json that is known to be one
 */
export function tokenBytes(json: string): (Uint8Array | undefined)[] {
  const file: TokenizerJson = JSON.parse(json);
  const isByteLevel = JSON.stringify(file.decoder ?? null).includes('"ByteLevel"');
  const bytesOf = isByteLevel ? fromByteLevel : fromText;
  const table: (Uint8Array | undefined)[] = [];
  for (const [token, id] of vocabulary(file.model?.vocab)) table[id] = bytesOf(token);
  for (const { content, id } of file.added_tokens ?? []) table[id] = encoder.encode(content);
  return table;
}

const encoder = new TextEncoder();

/** BPE has an object of numbers, Unigram a list of pairs. */
function vocabulary(vocab: unknown): [string, number][] {
  if (Array.isArray(vocab)) return vocab.map((entry, i) => [String(entry?.[0]), i]);
  if (typeof vocab !== 'object' || vocab === null) return [];
  return Object.entries(vocab).map(([token, id]) => [token, Number(id)]);
}

/** Printable bytes stand for themselves, the others are moved up, as in GPT-2's tokenizer. */
const byteOf: ReadonlyMap<string, number> = (() => {
  const isVisible = (byte: number) =>
    (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
  let moved = 256;
  const entries = Array.from({ length: 256 }, (_, byte): [string, number] => [
    String.fromCharCode(isVisible(byte) ? byte : moved++),
    byte,
  ]);
  return new Map(entries);
})();

function fromByteLevel(token: string): Uint8Array {
  const bytes = Array.from(token, (sign) => byteOf.get(sign));
  const isWhole = bytes.every((byte) => byte !== undefined);
  return isWhole ? Uint8Array.from(bytes) : encoder.encode(token);
}

function fromText(token: string): Uint8Array {
  const byte = /^<0x([0-9A-Fa-f]{2})>$/.exec(token)?.[1];
  return byte === undefined
    ? encoder.encode(token.replaceAll('\u2581', ' '))
    : Uint8Array.of(Number.parseInt(byte, 16));
}
