import { FlashMlaError } from '../../errors.ts';
import type { Address } from './driver/driver.ts';
import type { Launcher } from './launch/launcher.ts';
import { type Check, checkFailure } from './operations/checks.ts';
import type { Operations } from './operations/operations.ts';

/** i32 [sequence, index, value, 0], see `CheckArgs.report`. */
export const reportBytes = 16;
/** How many checks outside of graphs are remembered; their reports are read at once. */
const keptChecks = 64;

/**
 * Debug mode: runs the check kernels ahead of an operation. Outside of a graph the host waits for
 * them, so that an operation whose tensors are bad never runs; inside, they become part of the graph.
 * Either way the first bad element fails the next read or synchronisation.
 */
export class DebugChecks {
  readonly #operations: Operations;
  readonly #launcher: Launcher;
  readonly #report: Address;
  readonly #checks = new Map<number, Check>();
  readonly #recorded = new Map<number, Check>();
  #sequence = 0;

  constructor(operations: Operations, launcher: Launcher, report: Address) {
    this.#operations = operations;
    this.#launcher = launcher;
    this.#report = report;
    this.clear();
  }

  get report(): Address {
    return this.#report;
  }

  /** `recorded`: a graph repeats them, so that they may report at any time. */
  enqueue(checks: readonly Check[], recorded: boolean): void {
    for (const check of checks) {
      const sequence = ++this.#sequence;
      (recorded ? this.#recorded : this.#checks).set(sequence, check);
      this.#checks.delete(sequence - keptChecks);
      const { argument: _, ...args } = check;
      this.#operations.check({ ...args, sequence, report: this.#report });
    }
  }

  /** What a report says; undefined if nothing was found. */
  failure(report: Uint8Array): FlashMlaError | undefined {
    const [sequence = 0, index = 0, value = 0] = new Int32Array(report.slice().buffer);
    if (sequence === 0) return undefined;
    const check = this.#checks.get(sequence) ?? this.#recorded.get(sequence);
    if (check) return checkFailure(check, index, value);
    return new FlashMlaError(`debug check ${sequence} found ${value} at element ${index}`);
  }

  /** Enqueues making room for the next report. */
  clear(): void {
    this.#launcher.fill(this.#report, 0, reportBytes / 4);
  }
}
