import type { Code } from '../assembler/code.ts';
import type { Item } from '../assembler/item.ts';
import { KernelError } from '../errors.ts';
import { eachRegister } from '../operands/operand.ts';
import type { RegisterPool } from './pool.ts';

type Registers = ReturnType<RegisterPool['record']>;

/**
 * Instructions that were recorded to be placed between others: a softmax between the products of the
 * next tiles. They keep their order; registers they took stay reserved until the last one is placed.
 */
export class Stream {
  readonly name: string;
  readonly #code: Code;
  readonly #items: readonly Item[];
  readonly #registers: Registers;
  /** How many instructions it has. */
  readonly instructions: number;
  #placed = 0;
  #next = 0;

  constructor(name: string, code: Code, items: readonly Item[], registers: Registers) {
    this.name = name;
    this.#code = code;
    this.#items = items;
    this.#registers = registers;
    this.instructions = items.filter(({ kind }) => kind === 'instruction').length;
    if (this.instructions === 0) registers.end();
  }

  /** Instructions that are still to be placed. */
  get remaining(): number {
    return this.instructions - this.#placed;
  }

  /**
   * Places the next instructions: so many, or what is left.
   * @throws RegisterError if a register from outside of the stream was freed since it was recorded.
   */
  take(count: number): void {
    for (let left = count; left > 0 && this.remaining > 0; ) {
      const item = this.#items[this.#next++];
      if (item.kind === 'instruction') {
        for (const operand of item.operands) eachRegister(operand, this.#registers.check);
      }
      this.#code.append([item]);
      if (item.kind !== 'instruction') continue;
      left--;
      this.#placed++;
      if (this.remaining === 0) this.#registers.end();
    }
  }

  /** Places instructions until this part of all is placed: `upTo((step + 1) / steps)` in every step. */
  upTo(part: number): void {
    this.take(Math.ceil(this.instructions * part - 1e-9) - this.#placed);
  }

  /** Places all that is left. */
  rest(): void {
    this.take(this.remaining);
  }
}

/** Recording streams of instructions and placing them between others. */
export function weaveOps(code: Code, pool: RegisterPool, streams: Stream[]) {
  return {
    /**
     * Records what `fill` appends, without placing it. A stream is straight-line code: it may hold no
     * labels, jumps, loops or alignments.
     * @throws KernelError
     */
    record(name: string, fill: () => void): Stream {
      let items: Item[] = [];
      const registers = pool.record(name, () => {
        items = code.collect(fill);
      });
      const odd = items.find(({ kind }) => kind !== 'instruction' && kind !== 'comment');
      if (odd !== undefined) {
        throw new KernelError({
          subject: `stream "${name}"`,
          expected: 'instructions only',
          actual: odd.kind === 'align' ? 'an alignment' : `a ${odd.kind}`,
          remedy: 'Put loops and conditions around the place where the stream is woven in.',
        });
      }
      const stream = new Stream(name, code, items, registers);
      streams.push(stream);
      return stream;
    },

    /** Places streams evenly between each other: after any part of it, each is as far along. */
    weave(...woven: readonly Stream[]): void {
      const longest = Math.max(0, ...woven.map(({ remaining }) => remaining));
      const before = woven.map(({ remaining }) => remaining);
      for (let step = 1; step <= longest; step++) {
        for (const [i, stream] of woven.entries()) {
          const due = Math.round((before[i] * step) / longest);
          stream.take(due - (before[i] - stream.remaining));
        }
      }
    },
  };
}
