import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import { bytesMoved, shapesOf } from '../../ops/attention/case-files/work.ts';
import { scientific, significant } from '../../ops/bench/numbers.ts';
import {
  bundledCaseUrl,
  describeComparison,
  loadCase,
  recordedCaseNames,
  runCase,
} from '../../ops/cases.ts';
import type { Device } from '../../runtime/device/device.ts';
import { type CaseLine, caseTable } from '../cases/report.ts';
import type { CommandContext } from '../context.ts';
import { decodeLoop, type LoopResult } from '../demo/decode-loop.ts';
import { tellTale } from '../demo/tale.ts';
import { exitCodes, unavailableReason } from '../errors.ts';
import { jsonText } from '../json.ts';
import { addDeviceOptions, type DeviceFlags, openFor } from '../open.ts';
import { addNotes } from '../terminal/help.ts';
import { printable } from '../terminal/printable.ts';
import { type Progress, startProgress } from '../terminal/progress.ts';
import { hanging } from '../terminal/wrap.ts';

const steps = 64;

export function define(command: Command): void {
  addDeviceOptions(command).option('--json', 'print JSON only');
  addNotes(command, [
    'Runs the case files that ship with the package (real problems, with the answers that FlashMLA gave ' +
      `on an H200), decodes ${steps} tokens for each of 4 requests over a paged cache, and ends with a tale ` +
      'that a small language model tells. --json leaves the tale out.',
  ]);
}

export async function run(command: Command, context: CommandContext): Promise<number> {
  const flags = command.opts<DeviceFlags & { json?: boolean }>();
  const device = await openFor(flags, context);
  const progress = startProgress(context.progress);
  context.onExit(() => progress.stop());

  const lines = await runBundledCases(device, progress, context.signal);
  const { bold, dim } = context.colors;
  if (!flags.json) {
    progress.stop();
    const { name, parallelism } = device.info;
    context.write(
      `${bold('FlashMLA for TypeScript')} on ${name} (${device.id}, ${parallelism} workers)\n`,
    );
    for (const { message } of device.skipped) {
      const backend = /^backend '(\w+)'/.exec(message)?.[1] ?? 'a device';
      const why = `no ${backend}: ${unavailableReason(message)} (see flash-mla doctor)`;
      context.write(`${dim(hanging('', printable(why), context.width))}\n`);
    }
    context.write(`\n${caseTable(lines, context)}`);
    context.write(
      dim('error: largest |out − float32 answer|; FlashMLA: as it came out of an H200\n'),
    );
  }
  const onStep = (step: number) => progress.update(step, steps, 'paged decode loop');
  const loop = await decodeLoop(device, steps, onStep, context.signal);
  progress.stop();

  const pass = loop.check.pass && lines.every((line) => line.pass);
  if (flags.json) {
    const { id, info } = device;
    context.write(jsonText({ device: { id, name: info.name }, pass, cases: lines, loop }));
  } else {
    context.write(`\n${loopText(loop, context)}`);
    await tellTale(context);
  }
  return pass ? exitCodes.ok : exitCodes.failed;
}

async function runBundledCases(
  device: Device,
  progress: Progress,
  signal: AbortSignal,
): Promise<CaseLine[]> {
  const lines: CaseLine[] = [];
  // All of them in a clone, some in the package.
  const names = recordedCaseNames.filter((name) => existsSync(bundledCaseUrl(name)));
  for (const name of names) {
    progress.update(lines.length, names.length, name);
    const loaded = await loadCase(bundledCaseUrl(name));
    const result = await runCase(device, loaded, { repeats: 31, signal });
    lines.push({
      name,
      op: loaded.problem.op,
      shapes: shapesOf(loaded.problem),
      microseconds: result.microseconds,
      bytes: bytesMoved(loaded.problem),
      pass: result.pass,
      comparisons: result.comparisons,
    });
  }
  return lines;
}

function loopText(loop: LoopResult, { colors }: CommandContext): string {
  const { requests, tokens, seconds, tokensPerSecond, lengths, check } = loop;
  const verdict = check.pass ? colors.green('pass') : colors.red(describeComparison(check));
  return [
    `paged decode loop: ${loop.steps} steps, ${requests} requests of ${lengths.join(', ')} tokens, 128 heads`,
    `  ${colors.bold(`${significant(tokensPerSecond)} tokens/s`)} through one layer (${tokens} tokens in ${seconds.toFixed(2)} s)`,
    `  last step against the float64 reference: error ${scientific(check.maxAbsolute)}, ${verdict}`,
    '',
  ].join('\n');
}
