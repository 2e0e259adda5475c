import type { Knowledge } from './knowledge.ts';
import type { BarrierVote, Site, VoteMode } from './machine.ts';
import type { SimWarp } from './warp.ts';

/** One of a CTA's sixteen barriers, while some warps have arrived and others have not. */
interface Barrier {
  readonly waiting: { readonly warp: SimWarp; readonly vote: BarrierVote | undefined }[];
  /** How the arrived warps vote; undefined: they do not. */
  readonly mode: VoteMode | undefined;
  outcome: boolean;
  arrived: number;
  /** Bit w: warp w has arrived. */
  arrivedMask: number;
  /** Number of warps that completes it; undefined means all that have not exited. */
  expected: number | undefined;
  /** What the arrived warps know together. */
  readonly known: Knowledge;
}

/** The named barriers of a CTA. */
export class Barriers {
  readonly #warps: readonly SimWarp[];
  readonly #barriers = new Map<number, Barrier>();

  constructor(warps: readonly SimWarp[]) {
    this.#warps = warps;
  }

  reset(): void {
    this.#barriers.clear();
  }

  /** A warp arrives; gives whether it may go on. */
  arrive(
    w: SimWarp,
    site: Site,
    id: number,
    threads: number | undefined,
    wait: boolean,
    vote?: BarrierVote,
  ): boolean {
    const expected = threads === undefined ? undefined : threads / 32;
    let barrier = this.#barriers.get(id);
    if (barrier === undefined) {
      const mode = vote?.mode;
      const outcome = mode === 'all';
      const known = w.empty();
      barrier = { waiting: [], mode, outcome, arrived: 0, arrivedMask: 0, expected, known };
      this.#barriers.set(id, barrier);
    }
    if (barrier.expected !== expected) {
      const name = (n: number | undefined) =>
        n === undefined ? 'the whole CTA' : `${n * 32} threads`;
      const problem = `barrier ${id} is used for ${name(expected)} while others wait there for ${name(barrier.expected)}`;
      w.fault('barrier', site, problem);
    }
    if (barrier.mode !== vote?.mode) {
      const name = (mode: VoteMode | undefined) =>
        mode ? `asked whether ${mode} vote yes` : 'only waited for';
      const problem = `barrier ${id} is ${name(vote?.mode)} here and ${name(barrier.mode)} by others`;
      w.fault('barrier', site, problem);
    }
    if ((barrier.arrivedMask >>> w.id) & 1) {
      w.fault('barrier', site, `arrives at barrier ${id} again before it completed`);
    }
    barrier.arrived++;
    barrier.arrivedMask |= 1 << w.id;
    barrier.known.learn(w);
    if (vote && vote.yes === (vote.mode === 'any')) barrier.outcome = vote.yes;
    w.tick();
    if (wait) {
      barrier.waiting.push({ warp: w, vote });
      w.blocked = { site, what: () => `barrier ${id} (${this.state(id)})` };
    }
    this.#complete(id, barrier);
    return w.blocked === undefined;
  }

  /** A warp has exited: barriers of the whole CTA need one less. */
  exited(): void {
    for (const [id, barrier] of this.#barriers) this.#complete(id, barrier);
  }

  /** How far a barrier is, for messages. */
  state(id: number): string {
    const barrier = this.#barriers.get(id);
    if (barrier === undefined) return '';
    return `${barrier.arrived} of ${this.#needed(barrier)} warps there`;
  }

  #needed(barrier: Barrier): number {
    return barrier.expected ?? this.#warps.filter((w) => w.live !== 0).length;
  }

  #complete(id: number, barrier: Barrier): void {
    if (barrier.arrived < this.#needed(barrier)) return;
    this.#barriers.delete(id);
    const { cta, shared } = this.#warps[0];
    // Copies and other CTAs do not take part in the CTA's barriers.
    const everybody = barrier.waiting.length === this.#warps.length && !cta.launch.asynchronous;
    if (everybody) shared.synchronised();
    for (const { warp, vote } of barrier.waiting) {
      if (vote) {
        const others = warp.I[vote.result] & ~vote.lanes;
        warp.I[vote.result] = barrier.outcome ? others | vote.lanes : others;
      }
      warp.learn(barrier.known);
      warp.blocked = undefined;
      warp.progressed();
    }
  }
}
