/** The `flash-mla` process: its streams, signals and exit code. */

import { fstatSync } from 'node:fs';
import { environmentFlag } from '../runtime/device/environment.ts';
import type { CommandContext } from './context.ts';
import { errorParagraph, errorReport, exitCodeOf, exitCodes } from './errors.ts';
import { jsonText } from './json.ts';
import { main } from './main.ts';
import { colorsFor } from './terminal/colors.ts';
import { printableLines } from './terminal/printable.ts';
import { hanging } from './terminal/wrap.ts';

/** Longest wait for devices to close before the process ends anyway. */
const cleanupMilliseconds = 2000;

/** Runs the process's own command line and sets its exit code. */
export async function runProcess(): Promise<void> {
  const { stdout, stderr, env } = process;
  const argv = process.argv.slice(2);
  const cleanups: (() => void | Promise<void>)[] = [];
  const abort = new AbortController();
  const context: CommandContext = {
    write: (text) => void stdout.write(text),
    log: (text) => void stderr.write(`${wrapped(text, stderr)}\n`),
    colors: colorsFor(stdout.isTTY === true, env),
    progress: isWatched() ? stderr : undefined,
    width: (stdout.isTTY && stdout.columns) || undefined,
    signal: abort.signal,
    onExit: (cleanup) => void cleanups.push(cleanup),
  };
  const cleanUp = async () => {
    const all = Promise.allSettled(
      cleanups
        .splice(0)
        .reverse()
        .map(async (run) => run()),
    );
    await Promise.race([all, sleepUnreferenced(cleanupMilliseconds)]);
  };
  const complain = (error: unknown) => {
    const { red } = colorsFor(stderr.isTTY === true, env);
    context.log(`${red('error:')} ${errorParagraph(error)}`);
    if (!environmentFlag('FLASH_MLA_DEBUG') || !(error instanceof Error)) return;
    context.log(printableLines(error.stack ?? ''));
  };
  for (const stream of [stdout, stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      // The reader has left, as in `flash-mla … | head -1`: there is nobody to tell anything.
      if (error.code === 'EPIPE') process.exit(exitCodes.brokenPipe);
      // Notes that a full disk does not take are no reason to give up the work, a server least of all.
      if (stream === stderr) return;
      complain(error);
      process.exit(exitCodes.failed);
    });
  }
  process.once('SIGINT', () => {
    // A second Ctrl-C takes Node's way out. The command may end before everything is cleaned up.
    process.exitCode = exitCodes.interrupted;
    abort.abort();
    void cleanUp().finally(() => process.exit(exitCodes.interrupted));
  });

  try {
    process.exitCode = await main(argv, context);
  } catch (error) {
    if (abort.signal.aborted) return;
    process.exitCode = exitCodeOf(error);
    if (wantsJson(argv)) context.write(jsonText(errorReport(error)));
    else complain(error);
  }
  await cleanUp();
}

/** A paragraph as lines of a terminal; text that has lines already, and that for a pipe, as it is. */
function wrapped(text: string, { isTTY, columns }: NodeJS.WriteStream): string {
  return isTTY && !text.includes('\n') ? hanging('', text, columns || undefined) : text;
}

/** Whether somebody sees stderr, and stdout does not go into another program. */
function isWatched(): boolean {
  if (process.stderr.isTTY !== true) return false;
  try {
    const stat = fstatSync(1);
    return !stat.isFIFO() && !stat.isSocket();
  } catch {
    return false;
  }
}

function wantsJson(argv: readonly string[]): boolean {
  return argv.includes('--json');
}

function sleepUnreferenced(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds).unref());
}
