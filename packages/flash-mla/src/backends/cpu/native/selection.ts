import type { Feature } from '@flash-mla/machine-code';
import { type VectorKind, vectorFeatures } from './kernels/vectors.ts';

/** The kernels that a device can run with, best first. */
export const nativeKinds = ['avx512', 'avx2'] as const satisfies readonly VectorKind[];

/** `wasm`: no machine code at all. */
export type KernelKind = (typeof nativeKinds)[number] | 'wasm';

export const kernelKinds: readonly KernelKind[] = [...nativeKinds, 'wasm'];

/** The kernels that were chosen, and why not better ones. */
export interface Selection {
  readonly kind: KernelKind;
  /** For each better kind: what is missing. */
  readonly passedOver: readonly { readonly kind: KernelKind; readonly reason: string }[];
}

/** The best kernels for a processor with these features. Pure: nothing is asked of the machine. */
export function selectKernels(
  features: ReadonlySet<Feature>,
  failed: ReadonlyMap<KernelKind, string> = new Map(),
): Selection {
  const passedOver: { kind: KernelKind; reason: string }[] = [];
  for (const kind of nativeKinds) {
    const missing = vectorFeatures[kind].filter((feature) => !features.has(feature));
    const reason =
      missing.length > 0
        ? `the processor or its operating system lacks ${missing.join(', ')}`
        : failed.get(kind);
    if (reason === undefined) return { kind, passedOver };
    passedOver.push({ kind, reason });
  }
  return { kind: 'wasm', passedOver };
}
