import { join } from 'node:path';
import type { Command } from 'commander';
import { bytesMoved, shapesOf } from '../../ops/attention/case-files/work.ts';
import { describeComparison, loadCase, runCase, writeSafetensors } from '../../ops/cases.ts';
import type { Device } from '../../runtime/device/device.ts';
import { type CaseLine, caseTable } from '../cases/report.ts';
import type { CommandContext } from '../context.ts';
import { errorParagraph, errorReport, exitCodeOf, exitCodes } from '../errors.ts';
import { makeFolder } from '../files.ts';
import { jsonText } from '../json.ts';
import { packageVersion } from '../machine.ts';
import { addDeviceOptions, type DeviceFlags, openFor } from '../open.ts';
import { addNotes } from '../terminal/help.ts';
import { printable } from '../terminal/printable.ts';
import { startProgress } from '../terminal/progress.ts';

interface RunFlags extends DeviceFlags {
  readonly out?: string;
  readonly json?: boolean;
}

export function define(command: Command): void {
  command.argument('<file...>', 'case files (safetensors)');
  addDeviceOptions(command)
    .option('--out <dir>', 'write each result to <dir>/<case>.safetensors: out, lse, max_logits')
    .option('--json', 'print JSON only');
  addNotes(command, ['Exits 1 when an answer is not met, and says which element of which tensor.']);
}

export async function run(command: Command, context: CommandContext): Promise<number> {
  const flags = command.opts<RunFlags>();
  const files = command.args;
  const device = await openFor(flags, context);
  if (flags.out !== undefined) await makeFolder(flags.out);

  const progress = startProgress(context.progress);
  context.onExit(() => progress.stop());
  const done: CaseLine[] = [];
  const broken: { file: string; error: unknown }[] = [];
  for (const [index, file] of files.entries()) {
    context.signal.throwIfAborted();
    progress.update(index, files.length, file);
    try {
      done.push(await runFile(device, file, flags.out));
    } catch (error) {
      broken.push({ file, error });
    }
  }
  progress.stop();
  report(done, broken, device, flags, context);
  if (broken.length > 0) return Math.max(...broken.map(({ error }) => exitCodeOf(error)));
  return done.every(({ pass }) => pass) ? exitCodes.ok : exitCodes.failed;
}

async function runFile(device: Device, file: string, out: string | undefined): Promise<CaseLine> {
  const loaded = await loadCase(file);
  const result = await runCase(device, loaded, { repeats: 3 });
  if (out !== undefined) {
    const answers = Object.entries(result.answers).filter(([, tensor]) => tensor !== undefined);
    await writeSafetensors(join(out, `${loaded.name}.safetensors`), new Map(answers), {
      source: `flash-mla ${packageVersion()}`,
      device: device.info.name,
    });
  }
  return {
    name: loaded.name,
    op: loaded.problem.op,
    shapes: shapesOf(loaded.problem),
    microseconds: result.microseconds,
    bytes: bytesMoved(loaded.problem),
    pass: result.pass,
    comparisons: result.comparisons,
  };
}

function report(
  done: readonly CaseLine[],
  broken: readonly { file: string; error: unknown }[],
  device: Device,
  flags: RunFlags,
  context: CommandContext,
): void {
  if (flags.json) {
    context.write(
      jsonText({
        device: { id: device.id, name: device.info.name },
        pass: broken.length === 0 && done.every(({ pass }) => pass),
        cases: done,
        errors: broken.map(({ file, error }) => ({ file, ...errorReport(error) })),
      }),
    );
    return;
  }
  const { red } = context.colors;
  if (done.length > 0) {
    context.write(`${device.info.name} (${device.id})\n`);
    context.write(caseTable(done, context));
  }
  for (const { name, comparisons } of done) {
    for (const comparison of comparisons) {
      if (!comparison.pass)
        context.write(`${red(printable(name))}: ${describeComparison(comparison)}\n`);
    }
  }
  for (const { error } of broken) context.log(`${red('error:')} ${errorParagraph(error)}`);
}
