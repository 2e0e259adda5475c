import { Code } from '../assembler/code.ts';
import { type ConstantOps, constantOps } from '../assembler/constant_ops.ts';
import { instructionsOf } from '../assembler/instructions.ts';
import type { Program } from '../assembler/program.ts';
import { KernelError } from '../errors.ts';
import type { Feature } from '../features/feature.ts';
import type { Memory } from '../operands/memory.ts';
import { Gpr64 } from '../registers/gpr.ts';
import { type Abi, type AbiName, abis } from './abi.ts';
import { controlOps } from './control.ts';
import { Frame } from './frame.ts';
import {
  type JobDeclaration,
  JobField,
  type JobFields,
  type JobLayout,
  type JobValues,
  layOutJob,
  packJob,
} from './job.ts';
import { RegisterPool } from './pool.ts';
import { registerOps } from './register_ops.ts';
import { tileOps } from './tiles.ts';
import { type Stream, weaveOps } from './weave.ts';

function operations(
  code: Code,
  pool: RegisterPool,
  frame: Frame,
  streams: Stream[],
  jobs: Gpr64[],
) {
  const instructions = instructionsOf(code);
  const registers = registerOps(code, pool, instructions);
  const constant: ConstantOps = constantOps(code);
  const end = code.label('return');
  const ops = {
    ...instructions,
    ...registers,
    ...controlOps(code, pool, instructions, registers),
    ...weaveOps(code, pool, streams),
    ...tileOps(instructions, constant),
    constant,
    /** Memory of the kernel's own, which a call does not keep. */
    stack: (bytes: number, align = 16): Memory<'gpr64'> => frame.slot(bytes, align),
    /** Ends the kernel. */
    return: (): void => instructions.jmp(end),
    /** Gives the register back that points to the job, when every field that is needed was read. */
    freeJob(): void {
      for (const job of jobs.splice(0)) pool.free(job);
    },
    /** Whether an instruction that needs this feature may be used, to choose between ways. */
    has: (feature: Feature): boolean => code.allows(feature),
  };
  return { ops, end };
}

/** What a kernel is written with: every instruction, registers by name, loops, constants, streams. */
export type KernelBuilder = ReturnType<typeof operations>['ops'];

/** A kernel's declaration. */
export interface KernelOptions<J extends JobDeclaration, A extends readonly string[]> {
  /** For listings and errors: letters, digits, underscores. */
  readonly name: string;
  /** What the processor must have: instructions beyond it are refused. */
  readonly features: readonly Feature[];
  /** Fields of the job, a piece of memory that the first argument points to. */
  readonly job?: J;
  /** Names of further arguments: integers of 64 bits. */
  readonly args?: A;
}

/** Fields of the job as memory, further arguments as registers. */
export type KernelInputs<J extends JobDeclaration, A extends readonly string[]> = JobFields<J> & {
  readonly [N in A[number]]: Gpr64;
};

/** A kernel: makes its code for a calling convention, packs its jobs. */
export interface Kernel<J extends JobDeclaration = JobDeclaration> {
  readonly name: string;
  readonly features: readonly Feature[];
  readonly jobLayout: JobLayout;
  /** The code, made once for each calling convention. @throws MachineCodeError */
  assemble(abi: AbiName): Program;
  /** The bytes of a job, to be placed at a multiple of 8. @throws KernelError */
  packJob(values: JobValues<J>): Uint8Array<ArrayBuffer>;
}

/**
 * Declares a kernel. `build` runs once for each calling convention and writes the code by calling
 * instructions on `k`; plain TypeScript around them is executed while building, so loops unroll and
 * conditions choose code. Prologue and epilogue save what the caller keeps.
 * @throws KernelError for an impossible declaration.
 */
export function defineKernel<
  const J extends JobDeclaration = Record<never, never>,
  const A extends readonly string[] = readonly [],
>(
  options: KernelOptions<J, A>,
  build: (k: KernelBuilder, inputs: KernelInputs<J, A>) => void,
): Kernel<J> {
  const { name, features, job, args = [] as const } = options;
  const names = [...(job === undefined ? [] : ['job']), ...args];
  const layout = layOutJob(job ?? {});
  checkDeclaration(name, names, layout);
  const programs = new Map<AbiName, Program>();

  const make = (abi: Abi): Program => {
    const code = new Code(name, features);
    const pool = new RegisterPool(abi, code.allows('avx512f') ? 32 : 16);
    const frame = new Frame(abi);
    const streams: Stream[] = [];
    const jobs: Gpr64[] = [];
    const { ops, end } = operations(code, pool, frame, streams, jobs);
    code.guard = (register) => pool.check(register);
    const body = code.collect(() => {
      const inputs = takeInputs(code, pool, abi, names, layout, jobs);
      build(ops, inputs as unknown as KernelInputs<J, A>);
      checkStreams(name, streams);
      code.place(end);
    });
    code.guard = undefined;
    const { before, after } = frame.around(code, body);
    code.append([...before, ...body, ...after]);
    return code.finish();
  };

  return {
    name,
    features,
    jobLayout: layout,
    assemble(abi) {
      const known = programs.get(abi) ?? make(abis[abi]);
      programs.set(abi, known);
      return known;
    },
    packJob: (values) => packJob(layout, values as Readonly<Record<string, number | bigint>>),
  };
}

/** Reserves the argument registers, and makes the job's fields operands. */
function takeInputs(
  code: Code,
  pool: RegisterPool,
  abi: Abi,
  names: readonly string[],
  layout: JobLayout,
  jobs: Gpr64[],
): Record<string, Gpr64 | JobField> {
  if (names.length > abi.args.length) {
    throw new KernelError({
      subject: `kernel ${code.name}`,
      expected: `at most ${abi.args.length} arguments, the job among them, by the ${abi.name} convention`,
      actual: names.join(', '),
      remedy: 'Make them fields of the job.',
    });
  }
  const inputs: Record<string, Gpr64 | JobField> = {};
  for (const [i, name] of names.entries()) {
    const { number, lease } = pool.reserve(new Gpr64(abi.args[i]), name);
    const register = new Gpr64(number, lease);
    code.comment(`${name} = ${register}`);
    if (name !== 'job') inputs[name] = register;
    else {
      jobs.push(register);
      for (const [field, { type, offset }] of layout.offsets) {
        inputs[field] = new JobField(register, field, type, offset);
      }
    }
  }
  return inputs;
}

function checkDeclaration(name: string, names: readonly string[], layout: JobLayout): void {
  const all = [...names, ...layout.offsets.keys()];
  const twice = all.find((one, i) => all.indexOf(one) !== i);
  if (/^[A-Za-z]\w*$/.test(name) && twice === undefined) return;
  throw new KernelError({
    subject: `kernel "${name}"`,
    expected:
      'a name of letters, digits and underscores, and inputs of different names (not "job")',
    actual: twice === undefined ? `the name "${name}"` : `"${twice}" twice`,
    remedy: 'Rename it.',
  });
}

function checkStreams(kernel: string, streams: readonly Stream[]): void {
  const open = streams.find(({ remaining }) => remaining > 0);
  if (open === undefined) return;
  throw new KernelError({
    subject: `stream "${open.name}" of kernel ${kernel}`,
    expected: 'every recorded instruction to be placed',
    actual: `${open.remaining} of ${open.instructions} are not`,
    remedy: 'Call `rest()` where the stream must be complete.',
  });
}
