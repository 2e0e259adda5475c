import { OperandError } from '../errors.ts';
import type { Instructions } from '../instructions/table.ts';
import { Memory } from '../operands/memory.ts';
import { Gpr64 } from '../registers/gpr.ts';
import { JobField } from './job.ts';

/** What a general-purpose register can be set to; memory is read as 64 bits, a job's field as its type. */
export type Source = number | bigint | Memory<'gpr64'> | Gpr64;

/** Sets a register in the shortest way. */
export function setRegister(a: Instructions, register: Gpr64, value: Source): void {
  if (value instanceof Gpr64) a.mov(register, value);
  else if (value instanceof JobField) loadField(a, register, value);
  else if (value instanceof Memory) a.mov(register, value);
  else if (value === 0 || value === 0n) a.xor(register.low32, register.low32);
  else if (value > 0 && value <= 0xffffffff) a.mov(register.low32, Number(value));
  else a.mov(register, value);
}

function loadField(a: Instructions, register: Gpr64, field: JobField): void {
  if (field.type === 'u32') a.mov(register.low32, field);
  else if (field.type === 'i32') a.movsxd(register, field);
  else if (field.type === 'f32' || field.type === 'f64') {
    throw new OperandError({
      subject: `field ${field.name} of the job`,
      expected: 'an integer or a pointer',
      actual: field.type,
      remedy: 'Load it into a vector register: `k.vmovss(x, field)`, `k.vbroadcastss(x, field)`.',
    });
  } else a.mov(register, field);
}
