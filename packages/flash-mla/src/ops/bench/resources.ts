/** Things to give back together, in reverse order. */
export class Resources {
  readonly #held: { dispose(): void }[] = [];

  add<T extends { dispose(): void }>(resource: T): T {
    this.#held.push(resource);
    return resource;
  }

  dispose(): void {
    for (const resource of this.#held.splice(0).reverse()) resource.dispose();
  }
}
