/**
 * What a warp, or all that have arrived at a barrier together, know to have happened: vector clocks
 * over the cluster's warps and over the barriers that its copies report to.
 */
export class Knowledge {
  /** Accesses up to these clocks have happened before. */
  readonly clock: Uint32Array;
  /** The part of it that gpu-wide fences have covered. */
  readonly fenced: Uint32Array;
  /** The parts that proxy fences have covered, for shared and for global memory. */
  readonly proxied: Uint32Array;
  readonly proxiedGlobal: Uint32Array;
  /** When another CTA's signal may have been read last, and how much of that is acquired … */
  observed = 0;
  acquired = 0;
  /** … and of that covered by a proxy fence. */
  proxyAcquired = 0;

  /** `proxies`: whether anything in the kernel reads memory behind the threads' backs. */
  constructor(length: number, proxies: boolean) {
    this.clock = new Uint32Array(length);
    this.fenced = new Uint32Array(length);
    this.proxied = new Uint32Array(proxies ? length : 0);
    this.proxiedGlobal = new Uint32Array(proxies ? length : 0);
  }

  /** An empty one of the same size. */
  empty(): Knowledge {
    return new Knowledge(this.clock.length, this.proxied.length > 0);
  }

  /** A copy that stays as it is. */
  snapshot(): Knowledge {
    const copy = this.empty();
    copy.learn(this);
    return copy;
  }

  forget(): void {
    for (const clocks of [this.clock, this.fenced, this.proxied, this.proxiedGlobal])
      clocks.fill(0);
    this.observed = 0;
    this.acquired = 0;
    this.proxyAcquired = 0;
  }

  /** Learns what another knows. */
  learn(other: Knowledge): void {
    raise(this.clock, other.clock);
    raise(this.fenced, other.fenced);
    raise(this.proxied, other.proxied);
    raise(this.proxiedGlobal, other.proxiedGlobal);
    if (other.observed > this.observed) this.observed = other.observed;
    if (other.acquired > this.acquired) this.acquired = other.acquired;
    if (other.proxyAcquired > this.proxyAcquired) this.proxyAcquired = other.proxyAcquired;
  }
}

/** Raises each clock to the other's. */
function raise(clocks: Uint32Array, other: Uint32Array): void {
  for (let i = 0; i < other.length; i++) if (other[i] > clocks[i]) clocks[i] = other[i];
}
