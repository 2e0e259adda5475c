import type { SimCta } from './cta.ts';
import type { Knowledge } from './knowledge.ts';
import type { Site } from './machine.ts';
import type { SimWarp } from './warp.ts';

/** The barrier of a cluster: every warp arrives, then waits. */
export class ClusterBarrier {
  readonly #ctas: readonly SimCta[];
  readonly #arrived = new Set<SimWarp>();
  #waiting: SimWarp[] = [];
  /** Warps that have arrived and whose wait may pass. */
  readonly #free = new Set<SimWarp>();
  #gathered: Knowledge | undefined;
  #known: Knowledge | undefined;

  constructor(ctas: readonly SimCta[]) {
    this.#ctas = ctas;
  }

  reset(): void {
    this.#arrived.clear();
    this.#free.clear();
    this.#waiting = [];
    this.#gathered = undefined;
    this.#known = undefined;
  }

  arrive(w: SimWarp, site: Site, release: boolean): void {
    if (this.#arrived.has(w) || this.#free.has(w)) {
      w.fault('barrier', site, "arrives at the cluster's barrier again without waiting for it");
    }
    this.#arrived.add(w);
    this.#gathered ??= w.empty();
    if (release) this.#gathered.learn(w);
    w.tick();
    this.check();
  }

  /** True if the warp may go on. */
  wait(w: SimWarp, site: Site): boolean {
    if (this.#free.delete(w)) {
      this.#pass(w);
      return true;
    }
    if (!this.#arrived.has(w)) {
      w.fault('barrier', site, "waits for the cluster's barrier without having arrived");
    }
    this.#waiting.push(w);
    w.blocked = { site, what: () => `the cluster's barrier (${this.#state()})` };
    return false;
  }

  /** A warp has arrived or exited: goes on to the next phase if that was the last. */
  check(): void {
    if (this.#arrived.size === 0) return;
    for (const cta of this.#ctas) {
      if (cta.warps.some((w) => w.live !== 0 && !this.#arrived.has(w))) return;
    }
    this.#known = this.#gathered;
    this.#gathered = undefined;
    for (const w of this.#arrived) this.#free.add(w);
    this.#arrived.clear();
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const w of waiting) {
      this.#free.delete(w);
      this.#pass(w);
      w.blocked = undefined;
      w.progressed();
    }
  }

  #pass(w: SimWarp): void {
    if (this.#known !== undefined) w.learn(this.#known);
  }

  #state(): string {
    const all = this.#ctas.flatMap((cta) => cta.warps.filter((w) => w.live !== 0));
    return `${this.#arrived.size} of ${all.length} warps there`;
  }
}
