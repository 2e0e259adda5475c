/** Which request owns which page: a free page is taken when a request's newest one is full. */
export class PagedCache {
  readonly page: number;
  readonly maxBlocks: number;
  /** i32 (requests, maxBlocks); −1: no page. */
  readonly table: Int32Array;
  /** Request of each block; −1: free. */
  readonly owners: Int16Array;
  readonly #free: number[];

  /** `order`: the blocks in the order in which they are taken. */
  constructor(requests: number, maxBlocks: number, page: number, order: readonly number[]) {
    this.page = page;
    this.maxBlocks = maxBlocks;
    this.table = new Int32Array(requests * maxBlocks).fill(-1);
    this.owners = new Int16Array(order.length).fill(-1);
    this.#free = [...order].reverse();
  }

  /** Makes room for `length` tokens. Throws where no page is free. */
  grow(request: number, length: number): void {
    const needed = Math.ceil(length / this.page);
    for (let i = needed - 1; i >= 0; i--) {
      const entry = request * this.maxBlocks + i;
      if (this.table[entry] !== -1) break;
      const block = this.#free.pop();
      if (block === undefined) throw new Error(`No page is free for request ${request}.`);
      this.table[entry] = block;
      this.owners[block] = request;
    }
  }

  /** Gives all pages of a request back. */
  release(request: number): void {
    for (const block of this.blocksOf(request)) {
      this.owners[block] = -1;
      this.#free.push(block);
    }
    this.table.fill(-1, request * this.maxBlocks, (request + 1) * this.maxBlocks);
  }

  blocksOf(request: number): number[] {
    const row = this.table.subarray(request * this.maxBlocks, (request + 1) * this.maxBlocks);
    return [...row].filter((block) => block !== -1);
  }

  /** The block that holds a token. */
  blockOf(request: number, token: number): number {
    return this.table[request * this.maxBlocks + Math.floor(token / this.page)] as number;
  }

  /** block·page + offset of a token, as `indices` name it. */
  slotOf(request: number, token: number): number {
    return this.blockOf(request, token) * this.page + (token % this.page);
  }
}
