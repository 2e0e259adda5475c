/**
 * How the threads that run one command share its work. `context` points at the command's own shared
 * words, all zero when the command is enqueued.
 */

// Byte offsets in the context; src/runtime/cpu/pool/protocol.ts reads the error words.
const ITEM: usize = 0;
const SECOND_ITEM: usize = 4;
const ARRIVED: usize = 8;
const GENERATION: usize = 12;
const ERROR_CODE: usize = 16;
const ERROR_DETAILS: usize = 20;

/** How often a waiting thread looks before it sleeps: a few microseconds. */
const SPINS: i32 = 2000;

let context: usize = 0;
let worker: i32 = 0;
let workers: i32 = 1;

export function enterCommand(contextPtr: usize, workerIndex: i32, workerCount: i32): void {
  context = contextPtr;
  worker = workerIndex;
  workers = workerCount;
}

/** Index of the calling thread. */
export function workerIndex(): i32 {
  return worker;
}

/** Takes the next item of the command's first loop. */
export function takeItem(): i32 {
  return atomic.add<i32>(context, 1, ITEM);
}

/** Takes the next item of the command's second loop. */
export function takeSecondItem(): i32 {
  return atomic.add<i32>(context, 1, SECOND_ITEM);
}

/** Waits for all threads of the command. */
export function barrier(): void {
  if (workers == 1) return;
  const generation = atomic.load<i32>(context, GENERATION);
  if (atomic.add<i32>(context, 1, ARRIVED) == workers - 1) {
    atomic.store<i32>(context, 0, ARRIVED);
    atomic.add<i32>(context, 1, GENERATION);
    atomic.notify(context + GENERATION, -1);
    return;
  }
  for (let i = 0; i < SPINS; i++) {
    if (atomic.load<i32>(context, GENERATION) != generation) return;
  }
  while (atomic.load<i32>(context, GENERATION) == generation) {
    atomic.wait<i32>(context + GENERATION, generation, -1);
  }
}

// What is wrong with a command's device data; protocol.ts has the texts.
export const BAD_SPLITS: i32 = 1;
export const BAD_METADATA: i32 = 2;
export const BAD_CU_SEQLENS_Q: i32 = 3;
export const BAD_CU_SEQLENS_K: i32 = 4;

/**
 * Records what is wrong; the command then has no effect. Every thread runs the same checks and comes
 * to the same end, one of them writes it down.
 */
export function fail(code: i32, row: i32, column: i32, value: i32): void {
  if (worker != 0) return;
  store<i32>(context, row, ERROR_DETAILS);
  store<i32>(context, column, ERROR_DETAILS + 4);
  store<i32>(context, value, ERROR_DETAILS + 8);
  atomic.store<i32>(context, code, ERROR_CODE);
}
