import { FeatureError, OperandError } from '../errors.ts';
import type { Feature } from '../features/feature.ts';
import type { Forms } from '../instructions/signature.ts';
import { Broadcast, Memory } from '../operands/memory.ts';
import { memoryOf, type Operand, registersOf } from '../operands/operand.ts';
import { fileOf, type Register } from '../registers/register.ts';
import { bytesAccessed, type Encoded, encode } from './bytes.ts';
import type { Form } from './form.ts';
import { fits, type Mismatch, mismatch } from './match.ts';
import { readForm } from './notation.ts';

const read = new WeakMap<Forms, readonly Form[]>();

/** The forms of a table entry, read at the first use. */
export function formsOf(entry: Forms): readonly Form[] {
  let forms = read.get(entry);
  if (forms === undefined) {
    forms = entry.forms.map(readForm);
    read.set(entry, forms);
  }
  return forms;
}

/** An instruction with the form that was chosen for its operands. */
export interface Selected {
  readonly form: Form;
  readonly encoded: Encoded;
}

/**
 * Chooses the form of an instruction: of those that take the operands and need no other feature than
 * `allowed` (undefined: any), VEX and legacy before EVEX, then the shortest, then the first.
 * @throws OperandError, FeatureError
 */
export function select(
  mnemonic: string,
  entry: Forms,
  operands: readonly Operand[],
  allowed: ReadonlySet<Feature> | undefined,
): Selected {
  const forms = formsOf(entry);
  const fitting = forms.filter((form) => fits(form, operands));
  if (fitting.length === 0) throw unfit(mnemonic, forms, operands);
  checkSize(mnemonic, fitting, operands);
  const twice = entry.distinct ? repeated(operands) : undefined;
  if (twice !== undefined) throw notDistinct(mnemonic, operands, twice);
  const possible =
    allowed === undefined
      ? fitting
      : fitting.filter(({ features }) => features.every((feature) => allowed.has(feature)));
  if (possible.length === 0) throw unavailable(mnemonic, fitting, operands, allowed);
  const old = possible.filter(({ encoding }) => encoding.space !== 'evex');
  let best: Selected | undefined;
  for (const form of old.length > 0 ? old : possible) {
    const encoded = encode(form, operands);
    if (best === undefined || encoded.bytes.length < best.encoded.bytes.length) {
      best = { form, encoded };
    }
  }
  if (best === undefined) throw unfit(mnemonic, forms, operands);
  return best;
}

/** A vector or tile register that stands twice among the operands. */
export function repeated(operands: readonly Operand[]): Register | undefined {
  const files = ['vector', 'tile'];
  const all = operands.flatMap(registersOf).filter(({ kind }) => files.includes(fileOf(kind)));
  return all.find(({ number }, i) => all.findIndex((other) => other.number === number) < i);
}

function notDistinct(mnemonic: string, operands: readonly Operand[], register: Register) {
  return new OperandError({
    subject: call(mnemonic, operands),
    expected: 'different registers: the processor refuses the same one twice',
    actual: `${register} twice`,
    remedy: 'Take another register.',
  });
}

const call = (mnemonic: string, operands: readonly Operand[]): string =>
  `${mnemonic} ${operands.map(String).join(', ')}`.trim();

/** Tells what the form that came nearest has against the operands. */
function unfit(mnemonic: string, forms: readonly Form[], operands: readonly Operand[]) {
  let nearest: Mismatch | undefined;
  for (const form of forms) {
    const problem = mismatch(form, operands);
    if (problem !== undefined && problem.near > (nearest?.near ?? 9)) nearest = problem;
  }
  if (nearest !== undefined) {
    const { index, expected, actual, remedy } = nearest;
    const subject = `${call(mnemonic, operands)}, operand ${index + 1}`;
    return new OperandError({ subject, expected, actual, remedy });
  }
  const known = forms.map(({ slots }) => slots.map(({ text }) => text).join(', ') || 'no operands');
  return new OperandError({
    subject: mnemonic,
    expected: [...new Set(known)].join(' | '),
    actual: operands.map(String).join(', ') || 'no operands',
    remedy: 'Choose operands of one of these forms, of one length.',
  });
}

/** Memory without a size must not be readable as memory of two sizes. */
function checkSize(mnemonic: string, fitting: readonly Form[], operands: readonly Operand[]) {
  if (fitting.length < 2) return;
  for (const [i, operand] of operands.entries()) {
    const memory = memoryOf(operand);
    if (memory === undefined) continue;
    if (operand instanceof Memory && memory.bytes !== undefined) continue;
    const sizes = new Set(fitting.map((form) => bytesAccessed(form, i, false)));
    if (sizes.size < 2) continue;
    if (operand instanceof Broadcast) throw unclearBroadcast(mnemonic, operands, i);
    throw new OperandError({
      subject: `${call(mnemonic, operands)}, operand ${i + 1}`,
      expected: `memory whose size is known: ${[...sizes].sort((a, b) => a - b).join(', ')} bytes are possible`,
      actual: 'memory of any size',
      remedy: 'Say it: `.byte`, `.word`, `.dword`, `.qword`, `.xmmword`, `.ymmword` or `.zmmword`.',
    });
  }
}

function unclearBroadcast(mnemonic: string, operands: readonly Operand[], i: number) {
  return new OperandError({
    subject: `${call(mnemonic, operands)}, operand ${i + 1}`,
    expected: 'a broadcast whose number of lanes is known',
    actual: 'one that fits vectors of several lengths',
    remedy: 'Say it: `.broadcast(8)`.',
  });
}

function unavailable(
  mnemonic: string,
  fitting: readonly Form[],
  operands: readonly Operand[],
  allowed: ReadonlySet<Feature> | undefined,
) {
  const needs = new Set(fitting.map(({ features }) => features.join(' + ')));
  return new FeatureError({
    subject: call(mnemonic, operands),
    expected: `a kernel that declares ${[...needs].join(' or ')}`,
    actual: [...(allowed ?? [])].join(', ') || 'none',
    remedy: 'Declare the feature, or choose other operands or instructions.',
  });
}
