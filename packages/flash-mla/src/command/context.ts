import type { Command } from 'commander';
import type { Colors } from './terminal/colors.ts';

/** Where a command writes, and how it learns that it should stop. */
export interface CommandContext {
  /** Results. With `--json` nothing else may be written here. */
  write(text: string): void;
  /** A line for the person who watches, on stderr. */
  log(text: string): void;
  /** Colours of stdout: empty functions where there should be none. */
  readonly colors: Colors;
  /** The stream for progress bars; undefined where nobody watches. */
  readonly progress: ProgressStream | undefined;
  /** Of the terminal in characters; undefined where stdout is none: nothing is fitted to a width then. */
  readonly width: number | undefined;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
  /** Runs before the process ends, also after Ctrl-C. In reverse order. */
  onExit(cleanup: () => void | Promise<void>): void;
}

/** A terminal that progress bars are drawn on. */
export interface ProgressStream {
  readonly columns: number;
  write(text: string): unknown;
}

/** What a file in `commands/` exports. */
export interface CommandModule {
  /** Adds arguments, options and help to the (named, described) command. Must not load a backend. */
  define(command: Command): void | Promise<void>;
  /** Runs it; resolves to the exit code. */
  run(command: Command, context: CommandContext): Promise<number>;
}
