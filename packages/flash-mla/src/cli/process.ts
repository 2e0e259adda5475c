/** The `flash-mla` process: its streams, signals and exit code. */

import { fstatSync } from 'node:fs';
import type { CommandContext } from './context.ts';
import { errorParagraph, errorReport, exitCodeOf, exitCodes } from './errors.ts';
import { main } from './main.ts';
import { colorsFor } from './terminal/colors.ts';

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
    log: (text) => void stderr.write(`${text}\n`),
    colors: colorsFor(stdout.isTTY === true, env),
    progress: isWatched() ? stderr : undefined,
    columns: stdout.columns ?? 100,
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
  for (const stream of [stdout, stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      // The reader has left, as in `flash-mla … | head -1`: there is nobody to tell anything.
      if (error.code === 'EPIPE') process.exit(exitCodes.brokenPipe);
      throw error;
    });
  }
  process.once('SIGINT', () => {
    // A second Ctrl-C takes Node's way out.
    abort.abort();
    void cleanUp().finally(() => process.exit(exitCodes.interrupted));
  });

  try {
    process.exitCode = await main(argv, context);
  } catch (error) {
    if (abort.signal.aborted) return;
    process.exitCode = exitCodeOf(error);
    if (wantsJson(argv)) context.write(`${JSON.stringify(errorReport(error), null, 2)}\n`);
    else
      context.log(
        `${colorsFor(stderr.isTTY === true, env).red('error:')} ${errorParagraph(error)}`,
      );
    if (env.FLASH_MLA_DEBUG && env.FLASH_MLA_DEBUG !== '0' && error instanceof Error) {
      context.log(error.stack ?? '');
    }
  }
  await cleanUp();
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
