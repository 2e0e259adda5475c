import { ClusterBarrier } from './cluster-barrier.ts';
import { ClusterSpace } from './cluster-space.ts';
import { SimCta } from './cta.ts';
import type { Launch } from './launch.ts';

/** CTAs that run together and reach one another's shared memory; mostly just one. Reused. */
export class SimCluster {
  readonly launch: Launch;
  readonly ctas: readonly SimCta[];
  readonly barrier: ClusterBarrier;
  readonly space: ClusterSpace;
  /** Slots of clocks: one per warp, then two per memory barrier. */
  readonly clockLength: number;
  readonly warpSlots: number;

  constructor(launch: Launch) {
    this.launch = launch;
    const [x, y, z] = launch.cluster;
    const size = x * y * z;
    this.warpSlots = size * launch.warpCount;
    this.clockLength = this.warpSlots + 2 * launch.barriersPerCta * size;
    this.space = new ClusterSpace(this);
    this.ctas = Array.from({ length: size }, (_, rank) => new SimCta(this, rank));
    this.barrier = new ClusterBarrier(this.ctas);
  }

  /** Starts the cluster with these coordinates in the grid of clusters. */
  start(index: readonly [number, number, number], firstSerial: number): void {
    const [x, y, z] = this.launch.cluster;
    this.barrier.reset();
    this.ctas.forEach((cta, rank) => {
      const at = [
        index[0] * x + (rank % x),
        index[1] * y + (Math.floor(rank / x) % y),
        index[2] * z + Math.floor(rank / (x * y)),
      ] as const;
      cta.start(at, firstSerial + rank);
    });
  }

  /** The CTA with this serial number, if it is one of these. */
  peer(serial: number): SimCta | undefined {
    return this.ctas[serial - this.ctas[0].serial];
  }

  get done(): boolean {
    return this.ctas.every((cta) => cta.done);
  }
}
