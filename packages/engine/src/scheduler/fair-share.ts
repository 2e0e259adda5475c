/** An output token costs about as much as so many tokens of a prompt. */
const outputWeight = 2;
const maxRemembered = 4096;

/**
 * Who had how much. Of the tenants that wait, the one that had least goes next, so that each gets an equal
 * share however many requests it sends. Tokens from the prefix cache cost nothing.
 *
 * This is the virtual token counter of "Fairness in Serving Large Language Models" (Sheng et al., OSDI
 * 2024): who comes back after a pause starts from the least of those who are there, and saves nothing up.
 */
export class FairShare {
  readonly #served = new Map<string, number>();
  readonly #requests = new Map<string, number>();
  #floor = 0;

  /** Tenants that have requests. */
  get numActive(): number {
    return this.#requests.size;
  }

  /** Tenants of which it is known what they had. */
  get numRemembered(): number {
    return this.#served.size;
  }

  served(tenant: string): number {
    return this.#served.get(tenant) ?? 0;
  }

  /** A request of the tenant has come. */
  enter(tenant: string): void {
    const count = this.#requests.get(tenant) ?? 0;
    if (count === 0) {
      this.#raiseFloor();
      this.#served.set(tenant, Math.max(this.served(tenant), this.#floor));
      this.#prune();
    }
    this.#requests.set(tenant, count + 1);
  }

  /** A request of the tenant has ended. */
  leave(tenant: string): void {
    const count = this.#requests.get(tenant) ?? 0;
    if (count > 1) this.#requests.set(tenant, count - 1);
    else {
      this.#raiseFloor();
      this.#requests.delete(tenant);
    }
  }

  charge(tenant: string, tokens: { readonly prompt?: number; readonly output?: number }): void {
    const { prompt = 0, output = 0 } = tokens;
    this.#served.set(tenant, this.served(tenant) + prompt + outputWeight * output);
  }

  #raiseFloor(): void {
    let least = Number.POSITIVE_INFINITY;
    for (const tenant of this.#requests.keys()) least = Math.min(least, this.served(tenant));
    if (least !== Number.POSITIVE_INFINITY) this.#floor = Math.max(this.#floor, least);
  }

  /** Forgets tenants that would start from the floor anyway, and the oldest when there are too many. */
  #prune(): void {
    if (this.#served.size <= maxRemembered) return;
    for (const [tenant, served] of this.#served) {
      if (this.#requests.has(tenant)) continue;
      if (served <= this.#floor || this.#served.size > 2 * maxRemembered)
        this.#served.delete(tenant);
    }
  }
}
