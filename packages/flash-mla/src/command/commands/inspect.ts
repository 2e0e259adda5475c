import { freemem } from 'node:os';
import { type Command, Option } from 'commander';
import type { ProblemOptions } from '../../ops/bench/operation.ts';
import { checkRoom } from '../../ops/bench/sizes.ts';
import { UsageError } from '../../ops/bench/usage-error.ts';
import type { NativeKind } from '../../runtime/cpu/native/selection.ts';
import type { DeviceFacts } from '../../runtime/cuda/driver/driver.ts';
import type { KnownAdapter } from '../../runtime/webgpu/inspect/known-adapters.ts';
import { describeDefaults } from '../bench/defaults.ts';
import { addProblemFlags, problemOptions } from '../bench/problem-flags.ts';
import type { CommandContext } from '../context.ts';
import { exitCodes } from '../errors.ts';
import type { InspectOperation } from '../inspect/operations.ts';
import { jsonText } from '../json.ts';
import { integer } from '../option-values.ts';
import { addNotes } from '../terminal/help.ts';

interface InspectFlags extends ProblemOptions {
  readonly device: 'cuda' | 'webgpu' | 'cpu';
  readonly arch: string;
  readonly limits?: KnownAdapter;
  readonly workgroupMemory?: number;
  readonly subgroups: boolean;
  readonly ptx?: boolean;
  readonly wgsl?: boolean;
  readonly simulate?: boolean;
  readonly kernels: NativeKind;
  readonly listing?: boolean;
  readonly json?: boolean;
}

export async function define(command: Command): Promise<void> {
  const { inspectOperations } = await import('../inspect/operations.ts');
  command.argument('<op>', [...inspectOperations.keys()].join(', '));
  addProblemFlags(command);
  command
    .addOption(
      new Option('--device <device>', 'whose kernels')
        .choices(['cuda', 'webgpu', 'cpu'])
        .default('cuda'),
    )
    .option('--arch <arch>', 'cuda: architecture, such as sm_80 or sm_90a', 'sm_90a')
    .addOption(
      new Option('--limits <adapter>', 'webgpu: the limits and features of this adapter').choices([
        ...['default', 'h200', 'swiftshader'],
      ]),
    )
    .addOption(
      new Option('--workgroup-memory <bytes>', 'webgpu: instead of what --limits says').argParser(
        integer(1024),
      ),
    )
    .option('--no-subgroups', 'webgpu: as without that feature')
    .addOption(
      new Option('--kernels <kind>', 'cpu: machine code for such processors')
        .choices(['amx', 'avx512', 'avx2'])
        .default('avx512'),
    )
    .option('--listing', 'print the machine code of the kernel only')
    .option('--ptx', 'print the PTX of the kernel only')
    .option('--wgsl', 'print the WGSL of the kernel only')
    .option('--simulate', 'run the problem once in the simulator and count what kernels do')
    .option('--json', 'print JSON only');
  addNotes(command, [
    'Shows the kernels that are chosen for a problem, their configuration, launch and memory; for CUDA ' +
      'registers and spills where ptxas is on the PATH, for WebGPU the bindings, for the processor its ' +
      'machine code. Needs no GPU. With --ptx, --wgsl or --listing and several launches, the first is printed: `inspect combine --ptx` prints that ' +
      'of the combination. WebGPU: --limits is h200 unless given; default is what every device has. ' +
      'The simulator is slow: give --simulate a small problem.',
    '',
    'Defaults:',
    ...describeDefaults([...inspectOperations.values()], ['gpu']),
  ]);
}

export async function run(command: Command, context: CommandContext): Promise<number> {
  const flags = command.opts<InspectFlags>();
  const name = command.args[0] ?? '';
  if (flags.ptx && flags.json) throw new UsageError('Choose --ptx or --json, not both.');
  if (flags.ptx && flags.simulate) throw new UsageError('--simulate has no meaning with --ptx.');
  const { inspectOperations } = await import('../inspect/operations.ts');
  const operation = inspectOperations.get(name);
  if (operation === undefined) {
    const known = [...inspectOperations.keys()].join(', ');
    throw new UsageError(`There is no operation '${name}': choose ${known}.`);
  }
  if (flags.device === 'cpu') return inspectCpu(operation, command, flags, context);
  if (operation.inspects?.includes(flags.device) === false) {
    throw new UsageError(`${name} has no kernels for --device ${flags.device}.`);
  }
  if (flags.device === 'webgpu') return inspectWebGpu(operation, command, flags, context);
  const others = ['limits', 'workgroupMemory', 'subgroups', 'wgsl', 'kernels', 'listing'];
  checkGiven(command, 'cuda', others);
  const { knownGpu, knownGpus } = await import('../inspect/known-gpus.ts');
  const gpu = knownGpu(flags.arch);
  if (gpu === undefined) {
    const known = knownGpus.map(({ sm }) => `sm_${sm}`).join(', ');
    throw new UsageError(`--arch ${flags.arch}: choose ${known} or sm_90a.`);
  }
  const options = checkedOptions(operation, flags);
  // Nothing of a backend is loaded before the words on the command line have proved right.
  const { traceCuda } = await import('../inspect/trace.ts');
  const { assemble } = await import('../../runtime/cuda/inspect/ptxas.ts');
  const inspection = await traceCuda(operation, options, gpu);
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
    context.write(jsonText({ ...inspection, launches: inspected }));
    return exitCodes.ok;
  }
  const { inspectionText } = await import('../inspect/report.ts');
  context.write(inspectionText(inspection, inspected, context));
  return exitCodes.ok;
}

async function inspectWebGpu(
  operation: InspectOperation,
  command: Command,
  flags: InspectFlags,
  context: CommandContext,
): Promise<number> {
  checkGiven(command, 'webgpu', ['arch', 'ptx', 'simulate', 'kernels', 'listing']);
  if (flags.wgsl && flags.json) throw new UsageError('Choose --wgsl or --json, not both.');
  const options = checkedOptions(operation, flags);
  const { knownAdapters } = await import('../../runtime/webgpu/inspect/known-adapters.ts');
  const { inspectTrace } = await import('../../runtime/webgpu/inspect/inspect.ts');
  const { traceWebGpu } = await import('../inspect/trace.ts');
  const { limits = 'h200', workgroupMemory, subgroups } = flags;
  const known = knownAdapters[limits];
  const capabilities = {
    ...known,
    workgroupBytes: workgroupMemory ?? known.workgroupBytes,
    quads: known.quads && subgroups,
  };
  const trace = await traceWebGpu(operation, options, limits, capabilities);
  const inspection = inspectTrace(operation.name, limits, capabilities, trace);
  if (flags.wgsl) {
    context.write(trace.dispatches[0]?.source().wgsl ?? '');
  } else if (flags.json) {
    context.write(jsonText(inspection));
  } else {
    const { webgpuReport } = await import('../inspect/webgpu-report.ts');
    context.write(webgpuReport(inspection, context));
  }
  return exitCodes.ok;
}

async function inspectCpu(
  operation: InspectOperation,
  command: Command,
  flags: InspectFlags,
  context: CommandContext,
): Promise<number> {
  const { name } = operation;
  const others = ['arch', 'limits', 'workgroupMemory', 'subgroups', 'ptx', 'wgsl', 'simulate'];
  checkGiven(command, 'cpu', others);
  if (flags.listing && flags.json) throw new UsageError('Choose --listing or --json, not both.');
  const { cpuKernels, cpuListing, cpuReport } = await import('../inspect/cpu-kernels.ts');
  const kernels = cpuKernels(operation, flags.kernels);
  if (flags.listing && kernels.size === 0) {
    throw new UsageError(`${name} has no machine code: WebAssembly does all of it.`);
  }
  if (flags.listing) context.write(cpuListing(kernels));
  else if (flags.json) {
    const report = { operation: name, kernels: flags.kernels, code: [...kernels.keys()] };
    context.write(jsonText(report));
  } else context.write(cpuReport(name, flags.kernels, kernels.keys(), context));
  return exitCodes.ok;
}

/** Hours of work; and beyond it a single tensor may be larger than an array can be. */
const mostSimulated = 2 ** 30;

/** The sizes; throws where no device has room for them: then there is nothing to inspect. */
function checkedOptions(operation: InspectOperation, flags: InspectFlags): ProblemOptions {
  const options = problemOptions(operation, flags);
  const bytes = operation.footprint(options);
  checkRoom(bytes, undefined, '');
  if (flags.simulate) checkRoom(bytes, Math.min(mostSimulated, freemem() / 2), 'the simulator');
  return options;
}

/** Refuses options that say nothing about the kernels of a device. */
function checkGiven(command: Command, device: string, others: readonly string[]): void {
  for (const name of others) {
    if (command.getOptionValueSource(name) !== 'cli') continue;
    const { long } = command.options.find((option) => option.attributeName() === name) ?? {};
    throw new UsageError(`${long ?? name} has no meaning with --device ${device}.`);
  }
}

/** What each kernel does in one call, by name. */
async function simulate(operation: InspectOperation, flags: InspectFlags, gpu: DeviceFacts) {
  const { bench } = operation;
  if (bench === undefined) throw new UsageError(`--simulate does not know ${operation.name}.`);
  const { countInSimulator } = await import('../inspect/simulate.ts');
  return countInSimulator(bench, problemOptions(operation, flags), gpu);
}
