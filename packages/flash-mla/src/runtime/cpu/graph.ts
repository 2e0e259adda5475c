import type { BackendGraph } from '../device/backend.ts';
import type { Command } from './commands/command.ts';
import type { CpuBuffer } from './memory/heap.ts';

/** A command with the buffers that it uses. */
export interface RecordedCommand {
  readonly command: Command;
  readonly uses: readonly CpuBuffer[];
}

/** A recorded list of commands; see {@link Backend.capture}. */
export class CpuGraph implements BackendGraph {
  readonly #commands: readonly RecordedCommand[];
  /** Copies of what was written while recording. */
  #owned: readonly CpuBuffer[];
  readonly #submit: (recorded: RecordedCommand) => void;
  readonly #release: (buffer: CpuBuffer) => void;

  constructor(
    commands: readonly RecordedCommand[],
    owned: readonly CpuBuffer[],
    submit: (recorded: RecordedCommand) => void,
    release: (buffer: CpuBuffer) => void,
  ) {
    this.#commands = commands;
    this.#owned = owned;
    this.#submit = submit;
    this.#release = release;
  }

  replay(): void {
    for (const recorded of this.#commands) this.#submit(recorded);
  }

  dispose(): void {
    for (const buffer of this.#owned) this.#release(buffer);
    this.#owned = [];
  }
}
