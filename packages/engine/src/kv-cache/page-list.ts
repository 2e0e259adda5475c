/**
 * A doubly linked list of page numbers in two typed arrays: every operation takes constant time and
 * makes no object. A page is in the list at most once.
 */
export class PageList {
  readonly #next: Int32Array;
  readonly #previous: Int32Array;
  /** The index after the last page stands for both ends. */
  readonly #end: number;
  #length = 0;

  /** @param numPages pages are numbered from 0 to numPages − 1; the list starts empty. */
  constructor(numPages: number) {
    this.#end = numPages;
    this.#next = new Int32Array(numPages + 1).fill(-1);
    this.#previous = new Int32Array(numPages + 1).fill(-1);
    this.#next[numPages] = numPages;
    this.#previous[numPages] = numPages;
  }

  get length(): number {
    return this.#length;
  }

  has(page: number): boolean {
    return this.#next[page] !== -1;
  }

  /** Puts a page in front, where `shift` takes from. */
  unshift(page: number): void {
    this.#insert(page, this.#end, this.#at(this.#next, this.#end));
  }

  /** Puts a page at the back. */
  push(page: number): void {
    this.#insert(page, this.#at(this.#previous, this.#end), this.#end);
  }

  /** Takes the page in front; undefined when the list is empty. */
  shift(): number | undefined {
    const page = this.#at(this.#next, this.#end);
    if (page === this.#end) return undefined;
    this.remove(page);
    return page;
  }

  /** Takes out a page that is in the list. */
  remove(page: number): void {
    const [before, after] = [this.#at(this.#previous, page), this.#at(this.#next, page)];
    this.#next[before] = after;
    this.#previous[after] = before;
    this.#next[page] = -1;
    this.#previous[page] = -1;
    this.#length--;
  }

  /** The pages from front to back. */
  *[Symbol.iterator](): Generator<number> {
    let page = this.#at(this.#next, this.#end);
    while (page !== this.#end) {
      yield page;
      page = this.#at(this.#next, page);
    }
  }

  #insert(page: number, before: number, after: number): void {
    this.#next[before] = page;
    this.#previous[page] = before;
    this.#next[page] = after;
    this.#previous[after] = page;
    this.#length++;
  }

  #at(links: Int32Array, index: number): number {
    return links[index] ?? -1;
  }
}
