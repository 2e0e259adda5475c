import type { MatrixDescriptor, Ops, Value, Var } from '@flash-mla/ptx';
import { type E4m3Tile, stepDepth, stepsPerSet } from './tile.ts';

/** Starts loads from shared memory; what it returns converts what has arrived into fragments. */
export type OperandLoad = () => () => readonly Value<'f16x2'>[];

/** Four left operands, 16 of the depth each, and what they are multiplied with. */
export interface OperandSet {
  readonly acc: readonly Var<'f32'>[];
  readonly load: OperandLoad;
  /** Right operand of the first, K-major; of each of the others one step further. */
  readonly right: MatrixDescriptor;
  /** Whether it adds to the accumulator. */
  readonly accumulate: boolean;
  /** Called when no load of the set is left to start. */
  readonly afterLoad?: (() => void) | undefined;
}

/**
 * Multiplies operands that are converted in registers: sets of them take turns, so that those of
 * multiplications under way stay untouched, and loads start before sets before them are converted.
 */
export class Operands {
  readonly #k: Ops;
  readonly #loadsAhead: number;
  readonly #words: readonly (readonly Var<'b32'>[])[];
  /** Sets used since no multiplication was under way. */
  #used = 0;

  constructor(k: Ops, { operandSets, loadsAhead }: E4m3Tile) {
    this.#k = k;
    this.#loadsAhead = loadsAhead;
    this.#words = Array.from({ length: operandSets }, () => k.vars('b32', 4 * stepsPerSet));
  }

  /** Starts all multiplications of some sets. */
  multiply(sets: readonly OperandSet[]): void {
    const begun: ReturnType<OperandLoad>[] = [];
    sets.forEach((set, i) => {
      for (const each of sets.slice(begun.length, i + 1 + this.#loadsAhead)) {
        begun.push(each.load());
        each.afterLoad?.();
      }
      this.#multiplySet(set, begun[i] as ReturnType<OperandLoad>);
    });
  }

  /** Waits for all multiplications. */
  drain(): void {
    this.#k.wgmmaWait(0);
    this.#used = 0;
  }

  #multiplySet({ acc, right, accumulate }: OperandSet, convert: ReturnType<OperandLoad>): void {
    const k = this.#k;
    const sets = this.#words.length;
    const words = this.#words[this.#used % sets];
    if (this.#used >= sets) k.wgmmaWait(sets - 1);
    this.#used++;
    convert().forEach((word, i) => {
      words[i].set(word.as('b32'));
    });
    k.wgmmaFence();
    for (let step = 0; step < stepsPerSet; step++) {
      const left = words.slice(4 * step, 4 * step + 4).map((word) => word.as('f16x2'));
      const options = { accumulate: accumulate || step > 0 };
      k.wgmma('f16', acc, left, right.at(0, step * stepDepth), options);
    }
    k.wgmmaCommit();
  }
}

/** A fragment from every two decoded words. */
export function inFours<T>(
  decoded: readonly T[],
  join: (pair: T[]) => Value<'f16x2'>[],
): Value<'f16x2'>[] {
  const fragments: Value<'f16x2'>[] = [];
  for (let i = 0; i < decoded.length; i += 2) fragments.push(...join(decoded.slice(i, i + 2)));
  return fragments;
}
