interface Slot {
  token: number | undefined;
  /** The swap-in that used it last, whether it was loaded or hit then, and its place before. */
  lastUse: readonly [time: number, kind: 'loaded' | 'hit', before: number];
}

export interface NaiveResult {
  /** Of each entry of the top-k: the slot, or undefined for none. */
  readonly slots: (number | undefined)[];
  readonly misses: { readonly token: number; readonly slot: number }[];
}

/**
 * What a swap-in means, written to be seen to be right: every slot knows when it was used, and everything
 * is searched for. One request.
 */
export class NaiveSwapIn {
  readonly slots: Slot[];
  #time = 0;

  constructor(bufferSize: number) {
    this.slots = Array.from({ length: bufferSize }, (_, slot) => {
      return { token: slot, lastUse: [0, 'loaded', slot] };
    });
  }

  run(topK: readonly number[], length: number): NaiveResult {
    const isToken = (token: number) => token >= 0 && token < length;
    if (length <= this.slots.length)
      return { slots: topK.map((token) => (isToken(token) ? token : undefined)), misses: [] };

    this.#time++;
    const ages = this.lruOrder();
    const hit = ages.filter((slot) => {
      const { token } = this.#slot(slot);
      return token !== undefined && token !== length - 1 && topK.includes(token);
    });
    const misses: { token: number; slot: number }[] = [];
    const free = ages.filter((slot) => !hit.includes(slot));
    for (const token of topK) {
      if (!isToken(token) || token === length - 1) continue;
      if (this.slots.some((slot) => slot.token === token)) continue;
      const slot = free[misses.length] ?? -1;
      this.#slot(slot).token = token;
      this.#slot(slot).lastUse = [this.#time, 'loaded', ages.indexOf(slot)];
      misses.push({ token, slot });
    }
    for (const slot of hit) this.#slot(slot).lastUse = [this.#time, 'hit', ages.indexOf(slot)];
    const slots = topK.map((token) => {
      if (!isToken(token)) return undefined;
      if (token === length - 1) return this.slots.length;
      return this.slots.findIndex((slot) => slot.token === token);
    });
    return { slots, misses };
  }

  /** From the least to the most recently used. */
  lruOrder(): number[] {
    const kinds = ['loaded', 'hit'];
    return this.slots
      .map((_, slot) => slot)
      .sort((a, b) => {
        const [timeA, kindA, beforeA] = this.#slot(a).lastUse;
        const [timeB, kindB, beforeB] = this.#slot(b).lastUse;
        return timeA - timeB || kinds.indexOf(kindA) - kinds.indexOf(kindB) || beforeA - beforeB;
      });
  }

  #slot(slot: number): Slot {
    const found = this.slots[slot];
    if (found === undefined) throw new RangeError(`there is no slot ${slot}`);
    return found;
  }
}
