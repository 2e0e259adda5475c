/** A place in the code, or a constant behind it. Its owner is the code under construction. */
export class Label {
  readonly name: string;
  readonly owner: object;

  constructor(name: string, owner: object) {
    this.name = name;
    this.owner = owner;
  }

  toString(): string {
    return this.name;
  }
}
