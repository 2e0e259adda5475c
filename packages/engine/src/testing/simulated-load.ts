import { expect } from 'vitest';
import { Engine } from '../engine.ts';
import {
  type EngineOptions,
  numKvPages,
  type ResolvedOptions,
  resolveOptions,
} from '../options.ts';
import type { RequestOptions } from '../request/options.ts';
import type { Outcome } from '../request/state.ts';
import type { EngineEvent } from '../scheduler/lifecycle.ts';
import { Random } from './random.ts';
import { SimulatedHiSparse } from './simulated-hisparse.ts';
import { type RunnerFaults, SimulatedRunner } from './simulated-runner.ts';
import { SimulatedTime } from './simulated-time.ts';

/** What one choice of a request has given. */
export interface Received {
  readonly tokens: number[];
  /** On the simulated clock. */
  readonly times: number[];
  readonly outcomes: Outcome[];
}

function simulatedRunner(options: ResolvedOptions, time: SimulatedTime, random: Random) {
  const { hisparse, maxModelLength, maxRunning, overlap, pageSize, totalPages } = options;
  const maxInFlight = overlap ? 2 : 1;
  if (hisparse === undefined)
    return new SimulatedRunner(time, random, { totalPages, pageSize, maxInFlight });
  return new SimulatedHiSparse(time, random, {
    ...{ hisparse, pageSize, maxInFlight, maxRunning, maxModelLength },
    ...{ totalHostPages: numKvPages(options), totalDevicePages: totalPages },
  });
}

/** An engine on a simulated device, in simulated time: what takes hours takes a second. */
export class SimulatedLoad {
  readonly time = new SimulatedTime();
  readonly random: Random;
  readonly runner: SimulatedRunner;
  readonly engine: Engine;
  readonly received = new Map<string, Received>();
  /** Looks at every step's events. */
  onStep: (events: readonly EngineEvent[]) => void = () => {};

  constructor(options: EngineOptions, seed = 1, faults?: RunnerFaults) {
    this.random = new Random(seed);
    this.runner = simulatedRunner(resolveOptions(options), this.time, this.random);
    if (faults !== undefined) this.runner.faults = faults;
    this.engine = new Engine(this.runner, { ...options, clock: () => this.time.now });
  }

  submit(options: RequestOptions): void {
    this.engine.submit(options);
    for (let index = 0; index < (options.n ?? 1); index++)
      this.received.set(`${options.id}.${index}`, { tokens: [], times: [], outcomes: [] });
  }

  of(id: string, index = 0): Received {
    const received = this.received.get(`${id}.${index}`);
    if (received === undefined) throw new Error(`nobody has asked for ${id}.${index}`);
    return received;
  }

  /** Steps until everything that was planned has happened and every request has ended. */
  async run(): Promise<void> {
    while (this.engine.hasWork || !this.time.isEmpty) {
      if (!this.engine.hasWork) {
        await this.time.next();
        continue;
      }
      let isDone = false;
      const step = this.engine.step().then((events) => {
        isDone = true;
        this.#take(events);
      });
      await Promise.resolve();
      const plans = this.runner.plans.length;
      // A step that neither waits for the device nor brings anything would be called for ever.
      while (!isDone && !this.time.isEmpty) await this.time.next();
      await step;
      this.#expectProgress(plans);
    }
    expect(this.runner.violations).toEqual([]);
    this.engine.checkIntegrity();
    const { pages, running, waiting } = this.engine.stats;
    expect({ free: pages.free, running, waiting }).toEqual({
      free: pages.total,
      running: 0,
      waiting: 0,
    });
  }

  #idleSteps = 0;
  #lastPlans = 0;
  #lastEvents = 0;
  #numEvents = 0;

  #take(events: readonly EngineEvent[]): void {
    this.#numEvents += events.length;
    this.onStep(events);
    for (const event of events) {
      const { tokens, times, outcomes } = this.of(event.id, event.index);
      expect(outcomes).toEqual([]);
      if (event.kind === 'finished') outcomes.push(event.outcome);
      else {
        tokens.push(event.token);
        times.push(this.time.now);
      }
    }
  }

  #expectProgress(plans: number): void {
    const isIdle = plans === this.#lastPlans && this.#numEvents === this.#lastEvents;
    this.#idleSteps = isIdle ? this.#idleSteps + 1 : 0;
    this.#lastPlans = plans;
    this.#lastEvents = this.#numEvents;
    if (this.#idleSteps > 3 && this.time.isEmpty)
      throw new Error('the engine has work and does nothing');
  }
}
