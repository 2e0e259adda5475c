/** A page as the naive model sees it. */
interface NaivePage {
  readonly number: number;
  references: number;
  /** What it holds, with all that stands before it; undefined while it is not shared. */
  prefix: string | undefined;
}

export interface NaiveTable {
  readonly pages: number[];
  /** Leading pages that were found or offered once. A page is offered when it is full, never again. */
  numPublished: number;
}

/**
 * What `KvCache` means, written to be seen to be right: no hashes, no linked lists, everything is
 * searched for. A prefix is its tag and its tokens, joined.
 */
export class NaiveKvCache {
  readonly pageSize: number;
  readonly pages: NaivePage[];
  /** Next to be given out first. */
  readonly free: NaivePage[];
  evictions = 0;

  constructor(totalPages: number, pageSize: number) {
    this.pageSize = pageSize;
    this.pages = Array.from({ length: totalPages }, (_, number) => {
      return { number, references: 0, prefix: undefined };
    });
    this.free = this.pages.slice(1);
  }

  open(tag: string, tokens: readonly number[]): NaiveTable | undefined {
    const found = this.find(tag, tokens);
    const numNew = Math.ceil(tokens.length / this.pageSize) - found.length;
    const unused = found.filter((page) => page.references === 0);
    if (numNew + unused.length > this.free.length) return undefined;
    for (const page of found) {
      if (page.references++ === 0) this.free.splice(this.free.indexOf(page), 1);
    }
    const table = { pages: found.map((page) => page.number), numPublished: found.length };
    this.grow(table, tokens.length);
    return table;
  }

  grow({ pages }: Pick<NaiveTable, 'pages'>, numTokens: number): boolean {
    const numMissing = Math.ceil(numTokens / this.pageSize) - pages.length;
    if (numMissing > this.free.length) return false;
    for (const page of this.free.splice(0, Math.max(0, numMissing))) {
      if (page.prefix !== undefined) this.evictions++;
      page.prefix = undefined;
      page.references = 1;
      pages.push(page.number);
    }
    return true;
  }

  publish(table: NaiveTable, tag: string, tokens: readonly number[], numComputed: number): void {
    const numFull = Math.floor(numComputed / this.pageSize);
    for (const number of table.pages.slice(table.numPublished, numFull)) {
      table.numPublished++;
      const prefix = prefixOf(tag, tokens, table.numPublished * this.pageSize);
      const page = this.pages[number];
      if (page !== undefined && this.pages.every((other) => other.prefix !== prefix))
        page.prefix = prefix;
    }
  }

  close({ pages }: NaiveTable): void {
    for (const number of pages.toReversed()) {
      const page = this.pages[number];
      if (page === undefined || --page.references > 0) continue;
      if (page.prefix === undefined) this.free.unshift(page);
      else this.free.push(page);
    }
  }

  /** Pages that a sequence can use: whole ones, up to its last token but one. */
  find(tag: string, tokens: readonly number[]): NaivePage[] {
    const found: NaivePage[] = [];
    for (let end = this.pageSize; end <= tokens.length - 1; end += this.pageSize) {
      const prefix = prefixOf(tag, tokens, end);
      const page = this.pages.find((candidate) => candidate.prefix === prefix);
      if (page === undefined) break;
      found.push(page);
    }
    return found;
  }
}

function prefixOf(tag: string, tokens: readonly number[], length: number): string {
  return `${tag}|${tokens.slice(0, length).join(',')}`;
}
