import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, concatBytes, hexToBytes, utf8ToBytes } from '@noble/hashes/utils.js';

/**
 * What names the content of a whole page: the SHA-256 of the key of the page before and of its own
 * tokens, in hexadecimal digits. Equal keys mean equal tokens from the start of the sequence on, since nobody can make
 * two that collide.
 */
export type PageKey = string;

/** What keeps sequences apart whose tokens are equal and whose K/V is not, or must not be shared. */
export interface CacheTag {
  /** The model and the version of its weights. */
  readonly model: string;
  /** A secret of a user: without it nobody can tell from the speed what is cached. */
  readonly salt?: string | undefined;
  /** Sequences of one request only share among themselves where the prefix cache is off. */
  readonly scope?: string | undefined;
}

/** The key before the first page. Each field has its name and length, so none can pass for another. */
export function rootKey(tag: CacheTag): PageKey {
  const hash = sha256.create().update(utf8ToBytes('flash-mla kv page 1\0'));
  for (const name of ['model', 'salt', 'scope'] as const) {
    const value = tag[name];
    if (value === undefined) continue;
    const bytes = utf8ToBytes(value);
    hash.update(utf8ToBytes(`${name}:${bytes.length}:`)).update(bytes);
  }
  return bytesToHex(hash.digest());
}

/** The keys of a sequence that grows: one for each page that its tokens fill. */
export class PageKeys {
  readonly pageSize: number;
  readonly #root: PageKey;
  readonly #keys: PageKey[];
  readonly #bytes: Uint8Array;
  readonly #words: DataView;

  /** @param root what stands before the first page: `rootKey(tag)`. */
  constructor(pageSize: number, root: PageKey, keys: readonly PageKey[] = []) {
    this.pageSize = pageSize;
    this.#root = root;
    this.#keys = [...keys];
    this.#bytes = new Uint8Array(4 * pageSize);
    this.#words = new DataView(this.#bytes.buffer);
  }

  /** Keys so far; an index is that of the page in the sequence. */
  get keys(): readonly PageKey[] {
    return this.#keys;
  }

  /** The same keys, to grow on their own. */
  copy(): PageKeys {
    return new PageKeys(this.pageSize, this.#root, this.#keys);
  }

  /** Adds the keys of the pages that `tokens`, the sequence from its start, has filled since. */
  extend(tokens: ArrayLike<number>): readonly PageKey[] {
    const { pageSize } = this;
    for (let i = this.#keys.length; (i + 1) * pageSize <= tokens.length; i++) {
      for (let j = 0; j < pageSize; j++)
        this.#words.setUint32(4 * j, tokens[i * pageSize + j] ?? 0, true);
      const before = hexToBytes(this.#keys[i - 1] ?? this.#root);
      this.#keys.push(bytesToHex(sha256(concatBytes(before, this.#bytes))));
    }
    return this.#keys;
  }
}
