import type { Arg, Program, Reg } from '../../ir/program.ts';
import { f32Pattern, halves } from '../lanes.ts';
import { assignSlots, type Slots } from '../slots.ts';
import type { Compiled } from './compiled.ts';

/**
 * Where things lie in a warp's register file, in words: registers, for variables that a path may leave
 * unset the mask of lanes that have set them, and constants.
 */
export class RegisterFile {
  readonly #slots: Slots;
  readonly #setMasks = new Map<Reg, number>();
  readonly #constants: { offset: number; words: number[] }[] = [];
  readonly #constantPlaces = new Map<string, number>();
  #words: number;

  constructor(program: Program) {
    this.#slots = assignSlots(program);
    this.#words = this.#slots.words;
    for (const reg of program.regs) {
      if (!reg.maybeUnset) continue;
      this.#setMasks.set(reg, this.#words);
      this.#words += 32;
    }
  }

  get layout(): Pick<Compiled, 'fileWords' | 'constants' | 'unsetMasks'> {
    const unsetMasks = [...this.#setMasks.values()];
    return { fileWords: this.#words, constants: this.#constants, unsetMasks };
  }

  offset(reg: Reg): number {
    return this.#slots.offset(reg);
  }

  /** The mask of lanes that have set a variable; undefined where all paths do. */
  setMask(reg: Reg): number | undefined {
    return this.#setMasks.get(reg);
  }

  /** A register that holds a constant in all lanes. */
  constant({ imm, type }: Extract<Arg, { imm: unknown }>): number {
    const wide = type === 'b64' || type === 'u64' || type === 's64';
    const words = wide
      ? halves(imm)
      : [type === 'f32' ? f32Pattern(Number(imm)) : Number(BigInt.asIntN(32, BigInt(imm)))];
    const key = words.join();
    let offset = this.#constantPlaces.get(key);
    if (offset === undefined) {
      offset = this.#words;
      this.#words += 32 * words.length;
      this.#constantPlaces.set(key, offset);
      this.#constants.push({ offset, words });
    }
    return offset;
  }
}
