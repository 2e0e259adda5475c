import { Barriers } from './barriers.ts';
import type { Launch } from './launch.ts';
import { SharedMemory } from './shared.ts';
import { SimWarp } from './warp.ts';

/** A CTA on the simulated device: its warps, shared memory and barriers. Reused for many CTAs. */
export class SimCta {
  readonly launch: Launch;
  readonly shared: SharedMemory;
  readonly warps: readonly SimWarp[];
  readonly barriers: Barriers;
  readonly warpCount: number;
  readonly #threads: number;
  /** Coordinates in the grid. */
  index: readonly [number, number, number] = [0, 0, 0];
  serial = 0;

  constructor(launch: Launch) {
    this.launch = launch;
    this.#threads = launch.block[0] * launch.block[1] * launch.block[2];
    this.warpCount = Math.ceil(this.#threads / 32);
    const { sharedBytes, races, counters } = launch;
    this.shared = new SharedMemory(sharedBytes, this.warpCount, races, counters);
    this.warps = Array.from(
      { length: this.warpCount },
      (_, id) => new SimWarp(this, id, launch.compiled),
    );
    this.barriers = new Barriers(this.warps);
  }

  /** Starts the CTA with these coordinates. */
  start(index: readonly [number, number, number], serial: number): void {
    this.index = index;
    this.serial = serial;
    this.shared.reset();
    this.barriers.reset();
    for (const warp of this.warps) {
      const threads = Math.min(32, this.#threads - warp.id * 32);
      warp.reset(threads === 32 ? -1 : (1 << threads) - 1, this.launch.compiled);
    }
  }

  /**
   * Runs each warp that can run until it waits, polls or ends.
   * @returns whether the CTA has ended, and whether any warp did more than poll.
   */
  step(): { done: boolean; advanced: boolean } {
    let advanced = false;
    let done = true;
    for (const warp of this.warps) {
      if (warp.execution === undefined) continue;
      if (warp.blocked !== undefined) {
        done = false;
        continue;
      }
      warp.polled = false;
      if (warp.execution.next().done) {
        warp.execution = undefined;
        warp.live = 0;
        warp.progressed();
        this.barriers.exited();
        advanced = true;
        continue;
      }
      done = false;
      if (!warp.polled) advanced = true;
    }
    return { done, advanced };
  }
}
