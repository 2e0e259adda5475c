import { RegisterError } from '../errors.ts';
import type { Lease, RegisterFile } from '../registers/register.ts';

/** Registers of one file: who holds which, and in what order they are handed out. */
export class Bank {
  readonly file: RegisterFile;
  /** Numbers, in the order of preference. */
  readonly order: readonly number[];
  readonly #holders = new Map<number, Lease>();

  constructor(file: RegisterFile, order: readonly number[]) {
    this.file = file;
    this.order = order;
  }

  holder(number: number): Lease | undefined {
    return this.#holders.get(number);
  }

  isFree(number: number): boolean {
    return !this.#holders.has(number);
  }

  hold(number: number, lease: Lease): void {
    this.#holders.set(number, lease);
  }

  release(number: number): void {
    this.#holders.delete(number);
  }

  /** The most preferred one that nobody holds. */
  firstFree(below: number): number | undefined {
    return this.order.find((number) => number < below && this.isFree(number));
  }

  /** Who holds registers, as `acc (24), scale`. */
  holders(): string {
    const counts = new Map<string, number>();
    for (const [number, { name }] of this.#holders) {
      if (!this.order.includes(number)) continue;
      const family = name.replace(/\[.*\]$/, '');
      counts.set(family, (counts.get(family) ?? 0) + 1);
    }
    return [...counts].map(([name, n]) => (n === 1 ? name : `${name} (${n})`)).join(', ');
  }

  full(name: string, width: string, count: number, below: number): RegisterError {
    const usable = this.order.filter((number) => number < below);
    const free = usable.filter((number) => this.isFree(number)).length;
    return new RegisterError({
      subject: `${width} register "${name}"`,
      expected: `${count} free of ${usable.length}`,
      actual: `${free} free; held by ${this.holders()}`,
      remedy: 'End a scope, free what is no longer needed, or use fewer registers at a time.',
    });
  }
}
