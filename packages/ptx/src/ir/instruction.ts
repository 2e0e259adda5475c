import type { Requirement } from '../emit/target.ts';
import type { Site, WarpOp } from '../sim/machine.ts';

/**
 * How a lane's registers appear in the JavaScript of an instruction's meaning: `v` names the value
 * of up to 32 bits (f32 as a number, predicates as 0 or 1, everything else as a signed int32, 16-bit
 * types zero-extended), `lo` and `hi` the two signed halves of a 64-bit one.
 */
export interface LaneReg {
  readonly v: string;
  readonly lo: string;
  readonly hi: string;
  /** The bit pattern of up to 32 bits, whatever the type: what moves copy. */
  readonly bits: string;
}

/** What the counters of the simulator file an instruction under. */
export type InstructionKind =
  | 'integer'
  | 'float'
  | 'convert'
  | 'special'
  | 'move'
  | 'load'
  | 'store'
  | 'async copy'
  | 'atomic'
  | 'matrix'
  | 'shuffle'
  | 'barrier'
  | 'fence'
  | 'control';

/** The options of one instruction (types, rounding, cache hints, …), chosen when it is used. */
export type Attrs = object;

/** Registers that an instruction uses until it is waited for. */
export interface RegisterHold {
  readonly fragments: number;
  readonly shape: number;
  /** Number of the input that says whether those after it are read; undefined: they are. */
  readonly readIf: number | undefined;
}

/** One instruction of the machine: everything there is to know about it, in one place. */
export interface InstructionDef<A extends Attrs> {
  /** The PTX mnemonic without its qualifiers. */
  readonly name: string;
  readonly kind: InstructionKind;
  /** Least architecture and PTX version, when more than sm_80 and PTX 7.0. */
  readonly requires?: (attrs: A) => Requirement | undefined;
  /** Checks the options; returns what is wrong with them. */
  readonly check?: (attrs: A) => string | undefined;
  /** The text, without predicate and semicolon. */
  readonly ptx: (attrs: A, dst: readonly string[], src: readonly string[]) => string;
  /** Meaning per lane, as JavaScript statements that assign `dst` from `src`. */
  readonly lane?: (attrs: A, dst: readonly LaneReg[], src: readonly LaneReg[]) => string;
  /** Meaning for a whole warp: anything that touches memory or other lanes. */
  readonly warp?: (attrs: A, site: Site) => WarpOp;
  /** True when all live lanes of the warp must execute it together. */
  readonly convergent?: boolean | ((attrs: A) => boolean);
  /**
   * Set when the simulated warp may have to wait here for others; `retry` asks again after that
   * instead of going on.
   */
  readonly blocking?: boolean | 'retry';
  /**
   * Set when it goes on using its outputs and its first `fragments` inputs after it was issued;
   * instructions of the same shape may follow one another in the same outputs.
   */
  readonly holds?: (attrs: A) => RegisterHold | undefined;
  /** True when a loop around it may be waiting for another thread's write. */
  readonly polls?: (attrs: A) => boolean;
}

/** An instruction with its options fixed: what the program holds. */
export interface BoundInstruction {
  readonly name: string;
  readonly kind: InstructionKind;
  readonly attrs: Attrs;
  readonly requires: Requirement | undefined;
  readonly problem: string | undefined;
  readonly convergent: boolean;
  readonly blocking: boolean | 'retry';
  readonly polls: boolean;
  readonly holds: RegisterHold | undefined;
  ptx(dst: readonly string[], src: readonly string[]): string;
  lane: ((dst: readonly LaneReg[], src: readonly LaneReg[]) => string) | undefined;
  warp: ((site: Site) => WarpOp) | undefined;
}

/** An instruction, ready to be used with its options. */
export type Instruction<A extends Attrs> = (attrs: A) => BoundInstruction;

/** Turns a definition into an {@link Instruction}. */
export function instruction<A extends Attrs = Record<never, never>>(
  def: InstructionDef<A>,
): Instruction<A> {
  const { lane, warp, convergent } = def;
  return (attrs) => ({
    name: def.name,
    kind: def.kind,
    attrs,
    requires: def.requires?.(attrs),
    problem: def.check?.(attrs),
    convergent: typeof convergent === 'function' ? convergent(attrs) : (convergent ?? false),
    blocking: def.blocking ?? false,
    polls: def.polls?.(attrs) ?? false,
    holds: def.holds?.(attrs),
    ptx: (dst, src) => def.ptx(attrs, dst, src),
    lane: lane && ((dst, src) => lane(attrs, dst, src)),
    warp: warp && ((site) => warp(attrs, site)),
  });
}
