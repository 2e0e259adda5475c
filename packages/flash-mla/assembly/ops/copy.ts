import { enterCommand, takeItem } from '../work';

/** Bytes that one item copies. */
const CHUNK: usize = 1 << 20;

/** Copies memory; source and target must not overlap. */
export function copyBytes(
  context: usize,
  worker: i32,
  workers: i32,
  _workspace: usize,
  target: usize,
  source: usize,
  bytes: usize,
): void {
  enterCommand(context, worker, workers);
  const items = <i32>((bytes + CHUNK - 1) / CHUNK);
  for (let item = takeItem(); item < items; item = takeItem()) {
    const from = <usize>item * CHUNK;
    memory.copy(target + from, source + from, min(CHUNK, bytes - from));
  }
}
