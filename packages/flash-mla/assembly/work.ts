/** How the threads that run one command share its work. */

import { CommandHead } from './generated/pool';

// The thread that runs this instance: globals of WebAssembly belong to an instance.
export let worker: i32 = 0;
export let workers: i32 = 1;

/** To be called once, before the first command. */
export function startThread(index: i32, count: i32): void {
  worker = index;
  workers = count;
}

/** How often a waiting thread looks before it sleeps: a few microseconds. */
const SPINS: i32 = 2000;

/** What every command is: all threads get the same one, and its kind has further fields. */
// @ts-ignore: decorator
@unmanaged
export class Command extends CommandHead {
  /** The scratch of this thread, where each has so many bytes. */
  scratch(bytes: usize): usize {
    return this.workspace + <usize>worker * bytes;
  }

  /** What lies behind the scratch of all threads. */
  shared(bytes: usize): usize {
    return this.workspace + <usize>workers * bytes;
  }

  /** Takes the next item of the command's first loop. */
  takeItem(): i32 {
    return atomic.add<i32>(this.item, 1);
  }

  /** Takes the next item of the command's second loop. */
  takeSecondItem(): i32 {
    return atomic.add<i32>(this.secondItem, 1);
  }

  /** Waits for all threads of the command. */
  barrier(): void {
    if (workers == 1) return;
    const now = atomic.load<i32>(this.generation);
    if (atomic.add<i32>(this.arrived, 1) == workers - 1) {
      atomic.store<i32>(this.arrived, 0);
      atomic.add<i32>(this.generation, 1);
      atomic.notify(this.generation, -1);
      return;
    }
    for (let i = 0; i < SPINS; i++) {
      if (atomic.load<i32>(this.generation) != now) return;
    }
    while (atomic.load<i32>(this.generation) == now) {
      atomic.wait<i32>(this.generation, now, -1);
    }
  }

  /**
   * Records what is wrong; the command then has no effect. Every thread runs the same checks and comes
   * to the same end, one of them writes it down.
   */
  fail(code: i32, row: i32, column: i32, value: i32): void {
    if (worker != 0) return;
    this.errorRow = row;
    this.errorColumn = column;
    this.errorValue = value;
    atomic.store<i32>(this.errorCode, code);
  }
}
