import { freemem, totalmem } from 'node:os';
import type { BenchProblem, Scale } from '../../ops/bench/operation.ts';
import type { Device } from '../../runtime/device/device.ts';
import { lastLevelCache } from '../machine.ts';

/** Whether calls find their inputs in the last-level cache; `auto` does as FlashMLA's figures did. */
export type Temperature = 'cold' | 'warm' | 'auto';

/** How calls go through sets of inputs. */
export interface Rotation {
  readonly copies: number;
  readonly calls: number;
  /** Whether all sets together exceed the last-level cache enough to push one another out of it. */
  readonly cold: boolean;
}

/** Rotated inputs of FlashMLA's own measurements, in bytes. */
const gpuRotation = 0.5e9;
/** Where nobody tells the size of the last-level cache. */
const assumedCache = 256 * 2 ** 20;
const maxCopies = 64;

/**
 * How many sets of inputs to rotate: one (warm), enough to exceed the last-level cache twice (cold), or
 * up to 0.5 GB on a GPU and one on a processor (auto). Never more than half of the free memory.
 */
export function rotation(
  device: Device,
  { footprint }: BenchProblem,
  temperature: Temperature,
  cacheBytes = lastLevelCache() ?? assumedCache,
): Rotation {
  const scale = scaleOf(device);
  const target = {
    warm: footprint,
    cold: Math.max(2 * cacheBytes, footprint + cacheBytes),
    auto: scale === 'cpu' ? footprint : gpuRotation,
  }[temperature];
  const room = freeBytes(device) / 2;
  const wanted = temperature === 'auto' ? target / footprint : Math.ceil(target / footprint);
  const copies = Math.floor(Math.max(1, Math.min(wanted, maxCopies, room / footprint)));
  return {
    copies,
    calls: scale === 'cpu' ? copies : Math.max(8, copies),
    cold: copies > 1 && copies * footprint >= 1.5 * cacheBytes,
  };
}

/** Which sizes suit a device. */
export function scaleOf({ info }: Device): Scale {
  return info.backend === 'cpu' || info.backend === 'sim' ? 'cpu' : 'gpu';
}

/** All memory that a device may have for tensors; undefined where it does not say. */
export function roomOf(device: Device): number | undefined {
  const { memoryBytes } = device.info;
  if (scaleOf(device) === 'gpu') return memoryBytes;
  return Math.min(totalmem(), memoryBytes ?? Number.POSITIVE_INFINITY);
}

/** WebAssembly addresses 4 GiB at most; a GPU says what it has. */
function freeBytes(device: Device): number {
  const used = device.memoryStats().allocated;
  if (scaleOf(device) === 'gpu') return (device.info.memoryBytes ?? 2 ** 32) - used;
  return Math.min(freemem(), 3.5 * 2 ** 30 - used);
}
