import { commandNames } from '../commands/command-names.ts';
import { instantiate, type Kernels } from '../kernels.ts';
import { nativeFunctions } from '../native/functions.ts';
import {
  doneWord,
  headWord,
  reached,
  slotAddress,
  type WorkerReply,
  type WorkerStart,
  wantWord,
  word,
} from './protocol.ts';
import { runCommand } from './run-command.ts';

/** How often a worker looks for work before it sleeps: some tens of microseconds. */
const spins = 2000;

/** Runs commands from the ring until the thread is terminated. Never returns. */
export function serveSharedMemory(
  start: WorkerStart,
  memory: WebAssembly.Memory,
  reply: (message: WorkerReply) => void,
): never {
  const { index, workers, module, native } = start;
  // Before the host is told: a thread that is terminated while it loads koffi takes the process with it.
  const functions = native && nativeFunctions(native, memory);
  const kernels = instantiate<Kernels>(module, memory, { index, workers, native: functions });
  const names = commandNames(module);
  const words = new Int32Array(memory.buffer, 0, 16384);
  reply({ kind: 'ready' });
  for (let sequence = 1; ; sequence = (sequence + 1) | 0) {
    waitFor(words, headWord, sequence);
    const command = slotAddress(sequence);
    const slot = command / 4;
    runCommand(kernels, names[words[slot + word.operation] as number], command);
    if (Atomics.add(words, slot + word.finished, 1) === workers - 1) {
      Atomics.store(words, doneWord, sequence);
      Atomics.notify(words, doneWord);
      if (Atomics.load(words, wantWord) === sequence) reply({ kind: 'done' });
    } else {
      // The next command may use what this one writes.
      waitFor(words, doneWord, sequence);
    }
  }
}

function waitFor(words: Int32Array<ArrayBufferLike>, at: number, sequence: number): void {
  for (let i = 0; i < spins; i++) {
    if (reached(Atomics.load(words, at), sequence)) return;
  }
  for (;;) {
    const seen = Atomics.load(words, at);
    if (reached(seen, sequence)) return;
    Atomics.wait(words, at, seen);
  }
}
