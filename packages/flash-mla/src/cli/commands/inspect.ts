import type { Command } from 'commander';
import type { DeviceFacts } from '../../backends/cuda/driver/driver.ts';
import type { ProblemOptions } from '../bench/operation.ts';
import { addProblemFlags, problemOptions } from '../bench/problem-flags.ts';
import type { CommandContext } from '../context.ts';
import { exitCodes, UsageError } from '../errors.ts';
import type { InspectOperation } from '../inspect/operations.ts';

interface InspectFlags extends ProblemOptions {
  readonly arch: string;
  readonly ptx?: boolean;
  readonly simulate?: boolean;
  readonly json?: boolean;
}

const operations =
  'dense-decode, sparse-decode, sparse-prefill, dense-attention, combine, metadata, quantize, dequantize';

export function define(command: Command): void {
  command.argument('<op>', operations);
  addProblemFlags(command);
  command
    .option('--arch <arch>', 'architecture, such as sm_80 or sm_90a', 'sm_90a')
    .option('--ptx', 'print the PTX of the kernel only')
    .option('--simulate', 'run the problem once in the simulator and count what kernels do')
    .option('--json', 'print JSON only')
    .addHelpText(
      'after',
      '\nShows the CUDA kernels that are chosen for a problem, their configuration, launch and shared\n' +
        'memory; registers and spills where ptxas is on the PATH. Needs no GPU. With --ptx and several\n' +
        'launches, the first is printed: `inspect combine --ptx` prints that of the combination.\n' +
        'The simulator is slow: give --simulate a small problem.',
    );
}

export async function run(command: Command, context: CommandContext): Promise<number> {
  const flags = command.opts<InspectFlags>();
  const name = command.args[0] ?? '';
  if (flags.ptx && flags.json) throw new UsageError('Choose --ptx or --json, not both.');
  if (flags.ptx && flags.simulate) throw new UsageError('--simulate has no meaning with --ptx.');
  const { inspectOperations } = await import('../inspect/operations.ts');
  const operation = inspectOperations.get(name);
  if (operation === undefined) {
    throw new UsageError(`There is no operation '${name}': choose ${operations}.`);
  }
  const { knownGpu, knownGpus } = await import('../inspect/known-gpus.ts');
  const gpu = knownGpu(flags.arch);
  if (gpu === undefined) {
    const known = knownGpus.map(({ sm }) => `sm_${sm}`).join(', ');
    throw new UsageError(`--arch ${flags.arch}: choose ${known} or sm_90a.`);
  }
  const problem = operation.problem(problemOptions(operation, flags));
  // Nothing of a backend is loaded before the words on the command line have proved right.
  const { inspectOperation } = await import('../../backends/cuda/inspect/inspect.ts');
  const { assemble } = await import('../../backends/cuda/inspect/ptxas.ts');
  const inspection = await inspectOperation(operation.operation, problem, gpu);
  const { role } = operation;
  const launches = inspection.launches.filter(
    (launch) => role === undefined || launch.role === role,
  );
  const [first] = launches;
  if (first === undefined) {
    throw new UsageError(`This problem needs no ${role}: nothing of it is split.`);
  }
  if (flags.ptx) {
    context.write(inspection.ptx(first.role));
    return exitCodes.ok;
  }
  const counters = flags.simulate ? await simulate(operation, flags, gpu) : undefined;
  const inspected = launches.map((launch) => ({
    ...launch,
    counters: counters?.get(launch.kernel),
    assembly: assemble(launch.kernel, inspection.ptx(launch.role), launch.target),
  }));
  if (flags.json) {
    context.write(`${JSON.stringify({ ...inspection, launches: inspected }, null, 2)}\n`);
    return exitCodes.ok;
  }
  const { inspectionText } = await import('../inspect/report.ts');
  context.write(inspectionText(inspection, inspected, context.colors));
  return exitCodes.ok;
}

/** What each kernel does in one call, by name. */
async function simulate(operation: InspectOperation, flags: InspectFlags, gpu: DeviceFacts) {
  const { bench } = operation;
  if (bench === undefined) throw new UsageError(`--simulate does not know ${operation.name}.`);
  const { countInSimulator } = await import('../inspect/simulate.ts');
  return countInSimulator(bench, problemOptions(operation, flags), gpu);
}
