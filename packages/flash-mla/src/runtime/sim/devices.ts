import type { DeviceFacts } from '../cuda/driver/driver.ts';

const common = { memoryBytes: 2 ** 31, registersPerSm: 65_536 } as const;

/**
 * The GPUs that are simulated, in the order of `sim`, `sim:1`, …: one per kind of code that kernels
 * choose by architecture. Few multiprocessors, so that schedules stay small.
 */
export const simulatedDevices: readonly DeviceFacts[] = [
  {
    ...common,
    name: 'Simulated GPU, Ampere (sm_80)',
    sm: 80,
    smCount: 8,
    maxSharedPerBlock: 166_912,
    maxSharedPerSm: 167_936,
    maxThreadsPerSm: 2048,
    l2Bytes: 40 * 2 ** 20,
  },
  {
    ...common,
    name: 'Simulated GPU, Ada (sm_89)',
    sm: 89,
    smCount: 8,
    maxSharedPerBlock: 101_376,
    maxSharedPerSm: 102_400,
    maxThreadsPerSm: 1536,
    l2Bytes: 64 * 2 ** 20,
  },
  {
    ...common,
    name: 'Simulated GPU, Hopper (sm_90)',
    sm: 90,
    smCount: 8,
    maxSharedPerBlock: 232_448,
    maxSharedPerSm: 233_472,
    maxThreadsPerSm: 2048,
    l2Bytes: 50 * 2 ** 20,
  },
];
