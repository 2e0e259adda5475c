import type { SimWarp } from './warp.ts';

/** A signal by some warp of a CTA: from then on, writes up to that clock can be seen elsewhere. */
interface Published {
  readonly clock: number;
  readonly time: number;
}

/**
 * Which writes to global memory other CTAs may see. A write becomes visible when a warp that has
 * synchronised with the writer executes a gpu-wide fence and then a strong write (or both in one, a
 * release); a reader may rely on it after a later strong read and then a fence (or an acquire).
 */
export class Publications {
  /** Serial number of the launch's first CTA. */
  readonly first: number;
  #time = 1;
  readonly #published = new Map<number, Published[][]>();

  constructor(first: number) {
    this.first = first;
  }

  /** A fence: what the warp knows to have happened goes out with its next signal. */
  release(w: SimWarp): void {
    w.fenced.set(w.clock);
    // Later writes carry a later clock, so that this fence does not cover them.
    w.tick();
  }

  /** A strong write (atomic, volatile, relaxed or release): a signal to other CTAs. */
  signal(w: SimWarp): void {
    const time = ++this.#time;
    const { cluster, warpCount } = w.cta;
    cluster.ctas.forEach(({ serial, firstSlot }) => {
      let warps = this.#published.get(serial);
      if (warps === undefined) {
        warps = Array.from({ length: warpCount }, () => []);
        this.#published.set(serial, warps);
      }
      for (let i = 0; i < warpCount; i++) {
        const clock = w.fenced[firstSlot + i];
        const list = warps[i];
        const known = list.length === 0 ? 0 : list[list.length - 1].clock;
        if (clock > known) list.push({ clock, time });
      }
    });
  }

  /** A strong read (atomic, volatile, relaxed or acquire): may have seen another CTA's signal. */
  observe(w: SimWarp): void {
    w.observed = ++this.#time;
  }

  /** A fence or acquire: what was published before the last strong read may be read from now on. */
  acquire(w: SimWarp): void {
    w.acquired = Math.max(w.acquired, w.observed);
  }

  /** Why the warp must not read what CTA `serial` wrote with this stamp; undefined if it may. */
  objection(w: SimWarp, serial: number, stamp: number): string | undefined {
    const clock = stamp & 0x7ffffff;
    const peer = w.cta.cluster.peer(serial);
    if (peer !== undefined && w.clock[peer.firstSlot + (stamp >>> 27)] >= clock) return undefined;
    const event = this.#published.get(serial)?.[stamp >>> 27]?.find((p) => p.clock >= clock);
    if (event === undefined) {
      return 'reads what another CTA of this launch wrote without a gpu-wide fence or release between the write and the signal';
    }
    if (event.time > w.acquired) {
      return 'reads what another CTA of this launch wrote without a gpu-wide fence or acquire between the signal and the read';
    }
    return undefined;
  }

  /**
   * Why a copy that the warp starts must not read what CTA `serial` wrote with this stamp: besides
   * being visible it must lie before a proxy fence.
   */
  copyObjection(w: SimWarp, serial: number, stamp: number): string | undefined {
    const clock = stamp & 0x7ffffff;
    const peer = w.cta.cluster.peer(serial);
    if (peer !== undefined) {
      const slot = peer.firstSlot + (stamp >>> 27);
      if (w.proxiedGlobal[slot] >= clock) return undefined;
      if (peer === w.cta && w.clock[slot] < clock) return undefined;
      if (w.clock[slot] >= clock) return 'no fenceProxyAsync';
    }
    const event = this.#published.get(serial)?.[stamp >>> 27]?.find((p) => p.clock >= clock);
    if (event === undefined || event.time > w.acquired) return this.objection(w, serial, stamp);
    return event.time > w.proxyAcquired ? 'no fenceProxyAsync' : undefined;
  }
}
