import { FlashMlaError } from '../../errors.ts';
import { checkFailure, type NumberCheck } from '../../operation/number-check.ts';
import { type CheckConfig, checkKernel, checkName } from './kernels/check.ts';
import { wholeBuffer } from './launch/buffers.ts';
import type { WebGpuBuffer } from './runtime/memory.ts';
import type { Readback } from './runtime/readback.ts';
import type { Runtime } from './runtime/runtime.ts';
import { upload } from './runtime/upload.ts';
import { bindWhole, rangeOf, strideOf } from './runtime/views.ts';

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
      const { values, counts } = check;
      const config: CheckConfig = { ascending: check.ascending, counts: counts !== undefined };
      const numbers = bindWhole(check.argument, rangeOf(values), capabilities);
      const limits = counts && bindWhole(check.argument, rangeOf(counts), capabilities);
      const rank = values.shape.length;
      const extent = (fromEnd: number) =>
        fromEnd > rank ? 1 : (values.shape[rank - fromEnd] ?? 1);
      // What counts are per: the first dimension, which is the row itself in a matrix.
      const [outer, rows] = rank === 2 ? [extent(2), 1] : [extent(3), extent(2)];
      const [outerStride, rowStride] =
        rank === 2
          ? [strideOf(values, 0), 0]
          : [rank === 3 ? strideOf(values, 0) : 0, rank === 3 ? strideOf(values, 1) : 0];
      this.#runtime.dispatch({
        name: checkName(config),
        source: () => checkKernel(config),
        params: {
          first: numbers.firstByte / 4,
          outer,
          rows,
          columns: extent(1),
          outerStride,
          rowStride,
          low: check.low,
          high: check.high,
          alsoAllowed: check.alsoAllowed,
          ...(limits && { counts: limits.firstByte / 4 }),
          unit: check.unit,
          sequence,
        },
        storage: {
          numbers: numbers.resource,
          ...(limits && { counts: limits.resource }),
          report: wholeBuffer(this.#report),
        },
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
