import type { Capabilities } from '../runtime/limits.ts';
import { gpuTuning, nvidiaTuning, softwareTuning } from '../runtime/tuning.ts';

const mebi = 2 ** 20;

/** What the specification promises of every device: `webgpuProfile: 'default'`. */
const weakest: Capabilities = {
  workgroupBytes: 16 * 1024,
  bindingBytes: 128 * mebi,
  bufferBytes: 256 * mebi,
  storageBuffers: 8,
  offsetAlignment: 256,
  workgroupsPerDimension: 65_535,
  quads: false,
  halfSubnormals: false,
  tuning: gpuTuning,
};

/** Devices to look at kernels without: as `doctor` shows them with Dawn in Node. */
export const knownAdapters = {
  default: weakest,
  h200: {
    ...weakest,
    workgroupBytes: 48 * 1024,
    bindingBytes: 2048 * mebi - 256,
    bufferBytes: 512 * (2048 * mebi - 256),
    storageBuffers: 16,
    quads: true,
    halfSubnormals: true,
    tuning: nvidiaTuning,
  },
  swiftshader: {
    ...weakest,
    workgroupBytes: 32 * 1024,
    bindingBytes: 1024 * mebi,
    bufferBytes: 1024 * mebi,
    storageBuffers: 12,
    quads: true,
    halfSubnormals: true,
    tuning: softwareTuning,
  },
} as const satisfies Readonly<Record<string, Capabilities>>;

export type KnownAdapter = keyof typeof knownAdapters;
