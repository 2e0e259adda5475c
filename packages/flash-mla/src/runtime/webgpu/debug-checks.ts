import { FlashMlaError } from '@flash-mla/core';
import { checkFailure, type NumberCheck } from '../operation/number-check.ts';
import { checkKernel, checkName } from './kernels/check.ts';
import { wholeBuffer } from './launch/buffers.ts';
import type { WebGpuBuffer } from './runtime/memory.ts';
import type { Readback } from './runtime/readback.ts';
import type { Runtime } from './runtime/runtime.ts';
import { upload } from './runtime/upload.ts';
import { bindWhole, rangeOf } from './runtime/views.ts';

/** u32 [sequence, index, value, 0]. */
const reportBytes = 16;
/** Checks whose reports can still be put into words. */
const keptChecks = 4096;

/**
 * Debug mode: checks an operation's numbers on the device ahead of it. The first bad element fails the
 * next read or synchronisation. The operation runs all the same, since a page must not wait: kernels
 * never leave their tensors, but what they write then is undefined.
 */
export class DebugChecks {
  readonly #runtime: Runtime;
  readonly #readback: Readback;
  readonly #report: WebGpuBuffer;
  readonly #checks = new Map<number, NumberCheck>();
  #sequence = 0;

  constructor(runtime: Runtime, readback: Readback) {
    this.#runtime = runtime;
    this.#readback = readback;
    this.#report = runtime.memory.allocate(reportBytes);
    this.#clear();
  }

  enqueue(checks: readonly NumberCheck[]): void {
    const { capabilities } = this.#runtime;
    for (const check of checks) {
      const sequence = ++this.#sequence;
      this.#checks.set(sequence, check);
      this.#checks.delete(sequence - keptChecks);
      const numbers = bindWhole(check.argument, rangeOf(check.values), capabilities);
      this.#runtime.dispatch({
        name: checkName,
        source: checkKernel,
        params: {
          first: numbers.firstByte / 4,
          count: check.values.shape[0] ?? 0,
          low: check.low,
          high: check.high,
          sequence,
        },
        storage: { numbers: numbers.resource, report: wholeBuffer(this.#report) },
        workgroups: [1, 1, 1],
      });
    }
  }

  /** Rejects with what was found since the last time. */
  async report(): Promise<void> {
    const range = { buffer: this.#report, begin: 0, end: reportBytes };
    const bytes = await this.#readback.read(range);
    const [sequence = 0, index = 0, value = 0] = new Int32Array(bytes.slice().buffer);
    if (sequence === 0) return;
    this.#clear();
    const check = this.#checks.get(sequence);
    if (check) throw checkFailure(check, index, value);
    throw new FlashMlaError(`debug check ${sequence} found ${value} at element ${index}`);
  }

  #clear(): void {
    upload(this.#runtime, this.#report, 0, new Uint8Array(reportBytes));
  }
}
