import type { BackendGraph } from '../device/backend.ts';
import type { Command } from './commands/command.ts';
import type { CpuBuffer } from './memory/heap.ts';

/** A command with the buffers that it uses. */
export interface RecordedCommand {
  readonly command: Command;
  readonly uses: readonly CpuBuffer[];
}

/** A command, or what each replay enqueues anew. */
export type Recorded = RecordedCommand | { enqueue(): void };

/** A recorded list of commands; see {@link Backend.capture}. */
export class CpuGraph implements BackendGraph {
  readonly #commands: readonly Recorded[];
  /** Copies of what was written while recording. */
  #owned: readonly CpuBuffer[];
  readonly #submit: (command: Command, uses: readonly CpuBuffer[]) => void;
  readonly #release: (buffer: CpuBuffer) => void;

  constructor(
    commands: readonly Recorded[],
    owned: readonly CpuBuffer[],
    submit: (command: Command, uses: readonly CpuBuffer[]) => void,
    release: (buffer: CpuBuffer) => void,
  ) {
    this.#commands = commands;
    this.#owned = owned;
    this.#submit = submit;
    this.#release = release;
  }

  replay(): void {
    for (const recorded of this.#commands) {
      if ('command' in recorded) this.#submit(recorded.command, recorded.uses);
      else recorded.enqueue();
    }
  }

  dispose(): void {
    for (const buffer of this.#owned) this.#release(buffer);
    this.#owned = [];
  }
}
