import { createHash } from 'node:crypto';

/**
 * What names the content of a whole page: the SHA-256 of the key of the page before and of its own
 * tokens, in base64. Equal keys mean equal tokens from the start of the sequence on, since nobody can make
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
  const hash = createHash('sha256').update('flash-mla kv page 1\0');
  for (const name of ['model', 'salt', 'scope'] as const) {
    const value = tag[name];
    if (value !== undefined) hash.update(`${name}:${Buffer.byteLength(value)}:`).update(value);
  }
  return hash.digest('base64');
}

/** The keys of a sequence that grows: one for each page that its tokens fill. */
export class PageKeys {
  readonly pageSize: number;
  readonly #root: PageKey;
  readonly #keys: PageKey[];
  readonly #bytes: DataView;

  /** @param root what stands before the first page: `rootKey(tag)`. */
  constructor(pageSize: number, root: PageKey, keys: readonly PageKey[] = []) {
    this.pageSize = pageSize;
    this.#root = root;
    this.#keys = [...keys];
    this.#bytes = new DataView(new ArrayBuffer(4 * pageSize));
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
        this.#bytes.setUint32(4 * j, tokens[i * pageSize + j] ?? 0, true);
      const hash = createHash('sha256').update(this.#keys[i - 1] ?? this.#root, 'base64');
      this.#keys.push(hash.update(this.#bytes).digest('base64'));
    }
    return this.#keys;
  }
}
