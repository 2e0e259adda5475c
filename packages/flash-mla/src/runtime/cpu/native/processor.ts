import { detectFeatures, type Feature, featureWords, readFeatures } from '@flash-mla/machine-code';
import type { Koffi } from './require-koffi.ts';
import type { NativeSystem } from './system.ts';

/** What the processor and its operating system offer to programs, by the processor's own account. */
export function processorFeatures(koffi: Koffi, system: NativeSystem): ReadonlySet<Feature> {
  const words = new Uint32Array(featureWords);
  const job = detectFeatures.packJob({ out: BigInt(koffi.address(words)) });
  const address = system.place(detectFeatures.assemble(system.abi).bytes);
  const detect = koffi.decode(address, koffi.proto('void', ['void *']));
  detect(BigInt(koffi.address(job)));
  return readFeatures(words);
}
