import { FlashMlaError } from '@flash-mla/core';
import { checkFailure, type NumberCheck } from '../../operation/number-check.ts';
import type { Address } from '../driver/driver.ts';
import type { CheckNumbersArgs } from './check-numbers.ts';

/** i32 [sequence, index, value, 0], see {@link CheckNumbersArgs.report}. */
export const reportBytes = 16;
/** How many checks outside of graphs are remembered; their reports are read at once. */
const keptChecks = 64;

/**
 * Debug mode: runs the check kernels ahead of an operation. Outside of a graph the host waits for
 * them, so that an operation whose tensors are bad never runs; inside, they become part of the graph.
 * Either way the first bad element fails the next read or synchronisation.
 */
export class DebugChecks {
  readonly #run: (args: CheckNumbersArgs) => void;
  /** Enqueues making room for the next report. */
  readonly clear: () => void;
  readonly #report: Address;
  readonly #checks = new Map<number, NumberCheck>();
  readonly #recorded = new Map<number, NumberCheck>();
  #sequence = 0;

  /** `run` enqueues a check; `report` is where it is to report. */
  constructor(
    run: (args: CheckNumbersArgs) => void,
    report: { readonly address: Address },
    clear: () => void,
  ) {
    this.#run = run;
    this.#report = report.address;
    this.clear = clear;
    clear();
  }

  /** `recorded`: a graph repeats them, so that they may report at any time. */
  enqueue(checks: readonly NumberCheck[], recorded: boolean): void {
    for (const check of checks) {
      const sequence = ++this.#sequence;
      (recorded ? this.#recorded : this.#checks).set(sequence, check);
      this.#checks.delete(sequence - keptChecks);
      this.#run({ check, sequence, report: this.#report });
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
}
