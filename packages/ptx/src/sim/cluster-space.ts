import { clusterShift } from './addresses.ts';
import type { SimCluster } from './cluster.ts';
import type { SimCta } from './cta.ts';
import type { Access, Combine, MemorySpace, Site } from './machine.ts';
import type { SharedMemory } from './shared.ts';
import type { SimWarp } from './warp.ts';

/** The shared memory of all CTAs of a cluster, by cluster addresses. */
export class ClusterSpace implements MemorySpace {
  readonly #cluster: SimCluster;

  constructor(cluster: SimCluster) {
    this.#cluster = cluster;
  }

  load(w: SimWarp, access: Access, mask: number): void {
    this.#each(w, access, mask, (shared, lanes) => shared.load(w, access, lanes));
  }

  store(w: SimWarp, access: Access, mask: number): void {
    this.#each(w, access, mask, (shared, lanes) => shared.store(w, access, lanes));
  }

  atomic(w: SimWarp, access: Access, mask: number, combine: Combine, result: number): void {
    this.#each(w, access, mask, (shared, lanes) => {
      shared.atomic(w, access, lanes, combine, result);
    });
  }

  /** The CTA that a cluster address names, which must be running and known to be. */
  target(w: SimWarp, site: Site, lane: number, address: number, behind = false): SimCta {
    const rank = (address >>> clusterShift) - 1;
    const cta = rank < 0 ? w.cta : this.#cluster.ctas[rank];
    if (cta === undefined) {
      const problem = `CTA ${rank} of a cluster of ${this.#cluster.ctas.length}`;
      w.fault('cluster', site, problem, lane, address);
    }
    if (cta !== w.cta) cta.visit(w, site, lane, address, behind);
    return cta;
  }

  /** Runs an access in the memories that its lanes name. */
  #each(
    w: SimWarp,
    { site, address, offset }: Access,
    mask: number,
    run: (shared: SharedMemory, lanes: number) => void,
  ): void {
    for (let rest = mask; rest !== 0; ) {
      const first = 31 - Math.clz32(rest & -rest);
      const at = w.I[address + first] + offset;
      const rank = at >>> clusterShift;
      let lanes = 0;
      for (let lane = first; lane < 32; lane++) {
        if (((rest >>> lane) & 1) === 0) continue;
        if ((w.I[address + lane] + offset) >>> clusterShift === rank) lanes |= 1 << lane;
      }
      const { shared } = this.target(w, site, first, at);
      // An address without a rank is one of this CTA's own.
      if (rank === 0) run(shared, lanes);
      else shared.seenFromCluster(() => run(shared, lanes));
      rest &= ~lanes;
    }
  }
}
