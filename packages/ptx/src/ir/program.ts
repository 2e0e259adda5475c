import type { Requirement, Target } from '../emit/target.ts';
import type { PlacedField } from '../layout/shared.ts';
import type { BoundInstruction } from './instruction.ts';
import type { Location } from './location.ts';
import type { RegType } from './types.ts';

/** A virtual register. */
export interface Reg {
  readonly id: number;
  readonly type: RegType;
  /** Shown in the emitted text. */
  name: string | undefined;
  /** True for `k.var` registers, which may be written more than once. */
  readonly mutable: boolean;
  /** True for a variable declared without a first value: the simulator watches its reads. */
  readonly maybeUnset: boolean;
}

/** An instruction's input: a register or a constant of the given type. */
export type Arg =
  | { readonly reg: Reg; readonly type: RegType }
  | { readonly imm: number | bigint; readonly type: RegType };

/** A list of nodes with one entry; the scope in which the values defined in it may be used. */
export interface Block {
  readonly nodes: Node[];
}

/** An instruction's output register, and the type the instruction writes it as. */
export interface Dest {
  readonly reg: Reg;
  readonly type: RegType;
}

export interface InstrNode {
  readonly kind: 'instr';
  readonly op: BoundInstruction;
  readonly dst: readonly Dest[];
  readonly src: readonly Arg[];
  readonly location: Location;
}

/** `uniform` promises that all active lanes of a warp agree; the simulator checks it. */
export interface IfNode {
  readonly kind: 'if';
  readonly cond: Reg;
  readonly uniform: boolean;
  readonly yes: Block;
  readonly no: Block;
  readonly location: Location;
}

/** Runs `body` until every lane has left by `break`. `continue` jumps to `step`. */
export interface LoopNode {
  readonly kind: 'loop';
  readonly id: number;
  readonly label: string;
  /** False forbids the assembler to unroll. */
  readonly unroll: boolean;
  readonly body: Block;
  readonly step: Block;
  readonly location: Location;
}

/** Leaves or restarts the loop `loop`, for the lanes where `cond` holds (all when absent). */
export interface JumpNode {
  readonly kind: 'break' | 'continue';
  readonly loop: number;
  readonly cond: Reg | undefined;
  readonly negate: boolean;
  readonly uniform: boolean;
  readonly location: Location;
}

/** Ends the active threads. */
export interface ExitNode {
  readonly kind: 'exit';
  readonly location: Location;
}

export interface CommentNode {
  readonly kind: 'comment';
  readonly text: string;
}

export type Node = InstrNode | IfNode | LoopNode | JumpNode | ExitNode | CommentNode;

/** One kernel parameter's place in the packed parameter buffer. */
export interface ParamSlot {
  readonly name: string;
  readonly type: RegType;
  readonly count: number;
  readonly offset: number;
  readonly bytes: number;
  readonly align: number;
}

/** A `.const` array of the module. */
export interface ConstArray {
  readonly name: string;
  readonly align: number;
  readonly data: Uint8Array;
  /** Offset of the array in the simulator's constant bank. */
  readonly offset: number;
}

/** A kernel built for one target: what the emitter prints and the simulator executes. */
export interface Program {
  readonly name: string;
  readonly target: Target;
  readonly block: readonly [number, number, number];
  /** CTAs of a cluster. */
  readonly cluster: readonly [number, number, number];
  readonly params: readonly ParamSlot[];
  readonly paramBytes: number;
  readonly sharedBytes: number;
  /** What lies where in shared memory, for messages. */
  readonly sharedFields: readonly PlacedField[];
  readonly constants: readonly ConstArray[];
  readonly maxRegisters: number | undefined;
  readonly minBlocksPerSm: number | undefined;
  readonly regs: readonly Reg[];
  readonly body: Block;
  /** The strongest requirement of any instruction used. */
  readonly requires: Requirement;
}

/** The symbol of the CTA's one shared-memory window. */
export const sharedSymbol = 'smem';
