import { DeviceLostError } from '@flash-mla/core';
import type {
  CudaContext,
  CudaDriver,
  DeviceFacts,
  LaunchShape,
  PreparedRun,
} from '../driver/driver.ts';
import { CudaDriverError } from '../driver/driver-error.ts';
import { debugNote } from '../notes.ts';

const open = new WeakMap<CudaDriver, Map<number, SharedContext>>();

/**
 * A device's context as all backends on that device share it. The first error after which the context
 * is beyond use makes the device lost for all of them: the context is destroyed at once, so that its
 * memory returns, and no driver call is made in it any more. Whether the device can be opened again in
 * the same process is up to the driver, which promises it for no error of a kernel.
 */
export class SharedContext {
  readonly driver: CudaDriver;
  readonly ordinal: number;
  readonly id: string;
  readonly facts: DeviceFacts;
  /** The context behind a guard: errors are {@link DeviceLostError} once the device is lost. */
  readonly context: CudaContext;
  readonly #raw: CudaContext;
  readonly #holders = new Set<(error: DeviceLostError) => void>();
  #lost: DeviceLostError | undefined;

  /** Use {@link shareContext}. */
  constructor(driver: CudaDriver, ordinal: number) {
    this.driver = driver;
    this.ordinal = ordinal;
    this.id = ordinal === 0 ? driver.kind : `${driver.kind}:${ordinal}`;
    this.facts = driver.deviceFacts(ordinal);
    this.#raw = driver.openContext(ordinal);
    this.context = this.#guard(this.#raw);
  }

  get lost(): DeviceLostError | undefined {
    return this.#lost;
  }

  /** Throws {@link DeviceLostError} if the device is lost. */
  checkAlive(): void {
    if (this.#lost) throw this.#lost;
  }

  /** Keeps the context until {@link release}; `onLost` is called once if the device is lost. */
  hold(onLost: (error: DeviceLostError) => void): void {
    this.#holders.add(onLost);
  }

  release(onLost: (error: DeviceLostError) => void): void {
    if (!this.#holders.delete(onLost) || this.#holders.size > 0 || this.#lost) return;
    open.get(this.driver)?.delete(this.ordinal);
    this.#raw.close();
  }

  /** The error to throw for one that a driver call threw. */
  #translate(error: unknown): unknown {
    if (!(error instanceof CudaDriverError) || !error.sticky) return error;
    if (this.#lost) return this.#lost;
    const lost = new DeviceLostError(this.id, error.message.replace(/\.$/, ''), error);
    this.#lost = lost;
    open.get(this.driver)?.delete(this.ordinal);
    this.#destroy();
    for (const onLost of this.#holders) onLost(lost);
    this.#holders.clear();
    return lost;
  }

  #destroy(): void {
    // Given back first, so that the reset finds nobody who holds on to the context.
    for (const step of ['close', 'reset'] as const) {
      try {
        this.#raw[step]();
      } catch (error) {
        debugNote(`${this.id}: ${step} of a lost context: ${error}`);
      }
    }
  }

  #guard(raw: CudaContext): CudaContext {
    const guarded = Object.create(null) as Record<string, unknown>;
    for (const name of contextCalls) {
      const call = raw[name] as (...args: unknown[]) => unknown;
      guarded[name] = (...args: unknown[]) => {
        this.checkAlive();
        try {
          return call.apply(raw, args);
        } catch (error) {
          throw this.#translate(error);
        }
      };
    }
    guarded.prepareRun = (shape: LaunchShape): PreparedRun => {
      this.checkAlive();
      const prepared = raw.prepareRun(shape);
      return {
        parameters: prepared.parameters,
        run: (grid, stream) => {
          this.checkAlive();
          try {
            prepared.run(grid, stream);
          } catch (error) {
            throw this.#translate(error);
          }
        },
      };
    };
    guarded.ordinal = raw.ordinal;
    return guarded as unknown as CudaContext;
  }
}

const contextCalls = [
  'close',
  'reset',
  'memoryInfo',
  'encodeTensorMap',
  'allocate',
  'free',
  'allocatePinned',
  'freePinned',
  'lockMemory',
  'unlockMemory',
  'createStream',
  'destroyStream',
  'createEvent',
  'destroyEvent',
  'recordEvent',
  'waitEvent',
  'queryEvent',
  'synchronizeEvent',
  'elapsedMs',
  'copyToDevice',
  'copyToHost',
  'copyOnDevice',
  'fill',
  'loadKernel',
  'unloadKernel',
  'beginCapture',
  'endCapture',
  'launchGraph',
  'destroyGraph',
] as const satisfies readonly (keyof CudaContext)[];

/** The context of a device that is open already, or a new one. Throws {@link CudaDriverError}. */
export function shareContext(driver: CudaDriver, ordinal: number): SharedContext {
  let contexts = open.get(driver);
  if (contexts === undefined) {
    contexts = new Map();
    open.set(driver, contexts);
  }
  let shared = contexts.get(ordinal);
  if (shared === undefined) {
    shared = new SharedContext(driver, ordinal);
    contexts.set(ordinal, shared);
  }
  return shared;
}
