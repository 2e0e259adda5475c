import { expect } from 'vitest';
import { type BlockTable, KvCache } from '../kv-cache/kv-cache.ts';
import { PageKeys, rootKey } from '../kv-cache/page-key.ts';
import { NaiveKvCache, type NaiveTable } from './naive-kv-cache.ts';
import { Random } from './random.ts';

interface Sequence {
  readonly tag: string;
  readonly tokens: number[];
  readonly keys: PageKeys;
  readonly table: BlockTable;
  readonly naive: NaiveTable;
  numComputed: number;
}

export interface KvCounts {
  opened: number;
  refused: number;
  hitTokens: number;
  evictions: number;
}

const [totalPages, pageSize, maxLength] = [25, 4, 60];

/**
 * Random operations on a `KvCache` and on the naive model; everything that can be seen must be the same.
 * Few pages, few tokens and few tags make the rare cases frequent.
 */
export class KvOperations {
  readonly kv = new KvCache({ totalPages, pageSize });
  readonly naive = new NaiveKvCache(totalPages, pageSize);
  readonly counts: KvCounts = { opened: 0, refused: 0, hitTokens: 0, evictions: 0 };
  readonly #random: Random;
  readonly #open: Sequence[] = [];
  /** What a device would have in its pages: for each position, the whole sequence up to it. */
  readonly #device = new Map<number, string>();

  constructor(seed: number) {
    this.#random = new Random(seed);
  }

  run(numOperations: number): void {
    for (let i = 0; i < numOperations; i++) {
      const kind = this.#random.next();
      if (this.#open.length === 0 || kind < 0.2) this.#openOne();
      else if (kind < 0.5) this.#compute(this.#random.pick(this.#open));
      else if (kind < 0.8) this.#extend(this.#random.pick(this.#open));
      else this.#close(this.#random.integer(0, this.#open.length - 1));
      this.#compare();
      if (i % 64 === 0) this.kv.pool.checkIntegrity();
    }
    while (this.#open.length > 0) this.#close(0);
    this.#compare();
    this.kv.pool.checkIntegrity();
    expect(this.kv.pool.numFree).toBe(this.kv.pool.numPages);
    this.counts.evictions = this.naive.evictions;
  }

  #openOne(): void {
    const tag = this.#random.pick(['a', 'b']);
    // Two tokens, the second one rare: prefixes meet often, and part sooner or later.
    const length = this.#random.integer(1, 40);
    const tokens = Array.from({ length }, () => (this.#random.chance(0.03) ? 1 : 0));
    const keys = new PageKeys(pageSize, rootKey({ model: 'm', salt: tag }));
    keys.extend(tokens);
    const cost = this.kv.costOf(keys.keys, length);
    const found = this.naive.find(tag, tokens);
    same(cost.numCachedPages, found.length);
    const free = this.kv.pool.numFree;
    const table = this.kv.open(keys.keys, length);
    const naive = this.naive.open(tag, tokens);
    same(table === undefined, naive === undefined);
    if (table === undefined || naive === undefined) {
      this.counts.refused++;
      return;
    }
    this.counts.opened++;
    this.counts.hitTokens += table.numCachedTokens;
    same(this.kv.pool.numFree, free - cost.numFreePages);
    const sequence = { tag, tokens, keys, table, naive, numComputed: table.numCachedTokens };
    for (let position = 0; position < table.numCachedTokens; position++)
      same(this.#device.get(this.#cell(sequence, position)), contentOf(sequence, position));
    this.#open.push(sequence);
  }

  /** The device computes some of the tokens that are there. */
  #compute(sequence: Sequence): void {
    const { table, tokens } = sequence;
    const covered = Math.min(tokens.length, table.pages.length * pageSize);
    const end = this.#random.integer(sequence.numComputed, covered);
    for (let position = sequence.numComputed; position < end; position++) {
      const page = table.pages[Math.floor(position / pageSize)] ?? 0;
      // What is shared is never written, and neither is the page for padding.
      same(this.kv.pool.refCount(page), 1);
      this.#device.set(this.#cell(sequence, position), contentOf(sequence, position));
    }
    sequence.numComputed = end;
    this.kv.publish(table, sequence.keys.extend(tokens), end);
    this.naive.publish(sequence.naive, sequence.tag, tokens, end);
  }

  #extend({ tokens, table, naive }: Sequence): void {
    const length = Math.min(maxLength, tokens.length + this.#random.integer(1, 6));
    const hasGrown = this.kv.grow(table, length);
    same(hasGrown, this.naive.grow(naive, length));
    if (!hasGrown) return;
    while (tokens.length < length) tokens.push(this.#random.chance(0.03) ? 1 : 0);
  }

  #close(at: number): void {
    const [sequence] = this.#open.splice(at, 1);
    if (sequence === undefined) return;
    this.kv.close(sequence.table);
    this.naive.close(sequence.naive);
  }

  #compare(): void {
    const { pool } = this.kv;
    same(pool.freePages().join(), this.naive.free.map((page) => page.number).join());
    for (const { table, naive } of this.#open) same(table.pages.join(), naive.pages.join());
    let numCached = 0;
    for (const page of this.naive.pages) {
      if (page.number > 0) same(pool.refCount(page.number), page.references);
      if (page.prefix !== undefined) numCached++;
    }
    same(pool.numCached, numCached);
    same(this.kv.numOpen, this.#open.length);
  }

  #cell({ table }: Sequence, position: number): number {
    const page = table.pages[Math.floor(position / pageSize)] ?? 0;
    if (page === 0) throw new Error('a sequence without a page of its own');
    return page * pageSize + (position % pageSize);
  }
}

function contentOf({ tag, tokens }: Sequence, position: number): string {
  return `${tag}|${tokens.slice(0, position + 1).join(',')}`;
}

/** As `expect(…).toBe(…)`, which would take most of the time of a million operations. */
function same<T>(actual: T, expected: T): void {
  if (actual !== expected) expect(actual).toBe(expected);
}
