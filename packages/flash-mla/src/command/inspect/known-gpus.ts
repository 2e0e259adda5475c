import type { DeviceFacts } from '../../runtime/cuda/driver/driver.ts';

const kibi = 1024;
const mebi = 2 ** 20;
const gibi = 2 ** 30;

function gpu(
  name: string,
  sm: number,
  smCount: number,
  sharedPerSm: number,
  threads: number,
  l2: number,
  memory: number,
): DeviceFacts {
  return {
    name,
    sm,
    smCount,
    // A CTA can have all shared memory of an SM but one KiB.
    maxSharedPerBlock: (sharedPerSm - 1) * kibi,
    maxSharedPerSm: sharedPerSm * kibi,
    maxThreadsPerSm: threads,
    registersPerSm: 65_536,
    l2Bytes: l2 * mebi,
    memoryBytes: memory * gibi,
  };
}

/** A GPU of each architecture, to look at kernels without one. Sources: NVIDIA's data sheets. */
export const knownGpus: readonly DeviceFacts[] = [
  gpu('NVIDIA A100 80GB', 80, 108, 164, 2048, 40, 80),
  gpu('NVIDIA A40', 86, 84, 100, 1536, 6, 48),
  gpu('NVIDIA L40S', 89, 142, 100, 1536, 96, 48),
  gpu('NVIDIA H200', 90, 132, 228, 2048, 60, 141),
  gpu('NVIDIA B200', 100, 148, 228, 2048, 126, 180),
  gpu('NVIDIA RTX PRO 6000 Blackwell', 120, 188, 100, 1536, 128, 96),
];

/** The GPU that stands for an architecture such as `sm_90` or `sm_90a`; undefined for others. */
export function knownGpu(arch: string): DeviceFacts | undefined {
  const sm = /^sm_(\d+)a?$/.exec(arch)?.[1];
  return knownGpus.find((facts) => String(facts.sm) === sm);
}
