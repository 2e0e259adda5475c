import { CopyBytes } from '../generated/commands';

/** Bytes that one item copies. */
const CHUNK: usize = 1 << 20;

export function copyBytes(command: CopyBytes): void {
  const bytes = command.bytes;
  const items = <i32>((bytes + CHUNK - 1) / CHUNK);
  for (let item = command.takeItem(); item < items; item = command.takeItem()) {
    const from = <usize>item * CHUNK;
    memory.copy(command.target + from, command.source + from, min(CHUNK, bytes - from));
  }
}
