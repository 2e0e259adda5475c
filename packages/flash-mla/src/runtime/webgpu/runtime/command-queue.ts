import { FlashMlaError } from '@flash-mla/core';
import type { Recorder } from './recorder.ts';

/** Something to do on the device, in order, as often as it is enqueued. */
export interface Command {
  /** Kernels that must be compiled before it, and everything after it, can run. */
  ready?(): Promise<void> | undefined;
  record(recorder: Recorder): void;
}

/**
 * Keeps the order of the calls although kernels compile in the background: a command whose kernel is
 * not there yet holds back those behind it, never the caller. What can run is recorded at once and
 * submitted when the calling code yields.
 */
export class CommandQueue {
  readonly #recorder: Recorder;
  readonly #device: GPUDevice;
  readonly #id: string;
  readonly #waiting: Command[] = [];
  readonly #settled: { readonly after: number; resolve(): void }[] = [];
  #enqueued = 0;
  #recorded = 0;
  #pumping = false;
  #submitScheduled = false;
  #scopeOpen = false;
  #checks: Promise<unknown> = Promise.resolve();
  #failure: Error | undefined;
  #closed: Error | undefined;
  #capture: Command[] | undefined;

  constructor(device: GPUDevice, id: string, recorder: Recorder) {
    this.#device = device;
    this.#id = id;
    this.#recorder = recorder;
  }

  /** The first error since the last {@link check}: it belongs to whoever waits next. */
  fail(error: Error): void {
    this.#failure ??= error;
  }

  /** Nothing runs any more: whoever waits, now or later, gets `error`. */
  close(error: Error): void {
    if (this.#closed) return;
    this.#closed = error;
    this.#waiting.length = 0;
    for (const { resolve } of this.#settled.splice(0)) resolve();
  }

  get closed(): Error | undefined {
    return this.#closed;
  }

  enqueue(command: Command): void {
    if (this.#closed) return;
    if (this.#capture) {
      this.#capture.push(command);
      return;
    }
    this.#enqueued++;
    if (this.#waiting.length === 0 && !this.#pumping && command.ready?.() === undefined) {
      this.#record(command);
    } else {
      this.#waiting.push(command);
      if (!this.#pumping) void this.#pump();
    }
  }

  /** Whether nothing is recorded or waits that a write to the device would have to come after. */
  get isIdle(): boolean {
    return (
      this.#capture === undefined &&
      this.#waiting.length === 0 &&
      !this.#pumping &&
      this.#recorder.isEmpty
    );
  }

  /** Collects what `enqueue` enqueues instead of running it. */
  capture(enqueue: () => void): readonly Command[] {
    if (this.#capture) throw new Error('a capture cannot contain another');
    const commands: Command[] = [];
    this.#capture = commands;
    try {
      enqueue();
    } finally {
      this.#capture = undefined;
    }
    return commands;
  }

  /** Resolves once everything enqueued so far has been submitted, at once if it can be. */
  submitted(): Promise<void> {
    if (this.#recorded === this.#enqueued || this.#closed) {
      this.#submit();
      return Promise.resolve();
    }
    const after = this.#enqueued;
    return new Promise((resolve) => this.#settled.push({ after, resolve }));
  }

  /** Rejects with what went wrong in the work submitted so far, once. */
  async check(): Promise<void> {
    await this.#checks;
    if (this.#closed) throw this.#closed;
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure) throw failure;
  }

  async #pump(): Promise<void> {
    this.#pumping = true;
    for (let command = this.#waiting[0]; command; command = this.#waiting[0]) {
      try {
        const ready = command.ready?.();
        if (ready) {
          this.#submit();
          await ready;
        }
        if (this.#closed) break;
        this.#waiting.shift();
        this.#record(command);
      } catch (error) {
        // A kernel that does not compile: its call does nothing, those behind it go on.
        this.fail(error instanceof Error ? error : new Error(String(error)));
        this.#waiting.shift();
        this.#done();
      }
    }
    this.#pumping = false;
  }

  #record(command: Command): void {
    if (!this.#scopeOpen) {
      this.#device.pushErrorScope('validation');
      this.#scopeOpen = true;
    }
    try {
      command.record(this.#recorder);
    } catch (error) {
      this.fail(error instanceof Error ? error : new Error(String(error)));
    }
    this.#done();
    if (!this.#submitScheduled) {
      this.#submitScheduled = true;
      queueMicrotask(() => {
        this.#submitScheduled = false;
        this.#submit();
      });
    }
  }

  #done(): void {
    this.#recorded++;
    if (this.#settled.length === 0) return;
    const ready = this.#settled.filter(({ after }) => after <= this.#recorded);
    if (ready.length === 0) return;
    this.#submit();
    for (const waiter of ready) {
      this.#settled.splice(this.#settled.indexOf(waiter), 1);
      waiter.resolve();
    }
  }

  #submit(): void {
    if (this.#closed) return;
    this.#recorder.submit();
    if (!this.#scopeOpen) return;
    this.#scopeOpen = false;
    const scope = this.#device.popErrorScope().then(
      (error) => {
        if (error) this.fail(new FlashMlaError(`device '${this.#id}' refused: ${error.message}`));
      },
      () => undefined, // The device is gone: `lost` tells.
    );
    this.#checks = Promise.all([this.#checks, scope]);
  }
}
