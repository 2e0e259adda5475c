import type { Location } from '../../ir/location.ts';
import type { Program } from '../../ir/program.ts';
import type { SimWarp } from '../warp.ts';

/** A place in the program, for messages. */
export interface SiteInfo {
  readonly location: Location;
  readonly name: string;
}

/** How often a run of instructions was executed, and what is in it. */
export interface RunCount {
  readonly kinds: Readonly<Record<string, number>>;
  /** Times a warp ran it. */
  readonly issued: number;
  /** Lanes that took part, added up. */
  readonly lanes: number;
}

/** A program translated to JavaScript. */
export interface Compiled {
  readonly program: Program;
  /** Whether anything in it reads or writes memory behind the threads' backs, or in other CTAs. */
  readonly asynchronous: boolean;
  /** Where an instruction comes from. */
  site(index: number): SiteInfo;
  /** Size of a warp's register file in words. */
  readonly fileWords: number;
  /** Registers that hold constants. */
  readonly constants: readonly { readonly offset: number; readonly words: readonly number[] }[];
  /** Places of the masks of lanes that have set a variable. */
  readonly unsetMasks: readonly number[];
  /** Registers that matrix instructions use behind the threads' backs. */
  readonly matrixRegisters: number;
  run(warp: SimWarp): Generator<undefined, void>;
  /** Gives the counts since the last call. */
  takeCounts(): RunCount[];
}
