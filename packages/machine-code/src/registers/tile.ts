import { Register } from './register.ts';

/** A tile register of AMX, tmm0–tmm7: up to 16 rows of up to 64 bytes. */
export class Tile extends Register<'tile'> {
  constructor(number: number, lease?: Register['lease']) {
    super('tile', number, lease);
  }

  override get name(): string {
    return `tmm${this.number}`;
  }
}
