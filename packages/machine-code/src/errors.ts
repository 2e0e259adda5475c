/** What an error of this package says, in parts. */
export interface Problem {
  /** What is wrong: an instruction, a register, a label. */
  readonly subject: string;
  readonly expected: string;
  readonly actual: string;
  /** What to do about it. */
  readonly remedy: string;
}

/** The base of every error this package throws on purpose. */
export class MachineCodeError extends Error implements Problem {
  override readonly name: string = 'MachineCodeError';
  readonly subject: string;
  readonly expected: string;
  readonly actual: string;
  readonly remedy: string;
  constructor({ subject, expected, actual, remedy }: Problem) {
    super(`${subject}: expected ${expected}, got ${actual}. ${remedy}`);
    this.subject = subject;
    this.expected = expected;
    this.actual = actual;
    this.remedy = remedy;
  }
}

/** An operand that the instruction cannot encode: its kind, number, range or size. */
export class OperandError extends MachineCodeError {
  override readonly name = 'OperandError';
}

/** A register is used that is not the user's: freed, held by somebody else, or there is none left. */
export class RegisterError extends MachineCodeError {
  override readonly name = 'RegisterError';
}

/** A label is placed twice, never, or belongs to other code. */
export class LabelError extends MachineCodeError {
  override readonly name = 'LabelError';
}

/** An instruction needs a feature of the processor that the kernel does not declare. */
export class FeatureError extends MachineCodeError {
  override readonly name = 'FeatureError';
}

/** A kernel's declaration, its frame, its job or a use of the builder is impossible. */
export class KernelError extends MachineCodeError {
  override readonly name = 'KernelError';
}
