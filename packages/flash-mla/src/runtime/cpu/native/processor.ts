import type { Feature } from '@flash-mla/machine-code';
import { featureWords, readFeatures } from '@flash-mla/machine-code/features';
import type { NativeCode } from './code.ts';
import type { Koffi } from './require-koffi.ts';
import type { NativeSystem } from './system.ts';

/**
 * What the processor and its operating system offer to programs, by the processor's own account. `detect`: the
 * kernel `detect_features`, whose job is one address.
 */
export function processorFeatures(
  koffi: Koffi,
  system: NativeSystem,
  detect: Pick<NativeCode, 'bytes'>,
): ReadonlySet<Feature> {
  const words = new Uint32Array(featureWords);
  const job = BigUint64Array.of(BigInt(koffi.address(words)));
  const call = koffi.decode(system.place(detect.bytes), koffi.proto('void', ['void *']));
  call(BigInt(koffi.address(job)));
  return readFeatures(words);
}
