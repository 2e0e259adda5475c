import type { Feature } from '@flash-mla/machine-code';
import { rowsAmxFeatures, rowsBf16Features, vectorFeatures } from './kernels/features.ts';

/** What each kind of kernels needs of the processor. */
const kindFeatures = {
  amx: rowsAmxFeatures,
  avx512: vectorFeatures.avx512,
  avx2: vectorFeatures.avx2,
} as const satisfies Record<string, readonly Feature[]>;

export type NativeKind = keyof typeof kindFeatures;

/** The kernels that a device can run with, best first. */
export const nativeKinds = Object.keys(kindFeatures) as readonly NativeKind[];

/** `wasm`: no machine code at all. */
export type KernelKind = NativeKind | 'wasm';

export const kernelKinds: readonly KernelKind[] = [...nativeKinds, 'wasm'];

/** A kind with what stands in its way. */
export interface PassedOver {
  readonly kind: KernelKind;
  readonly reason: string;
}

/** The kernels that were chosen, and why not better ones. */
export interface Selection {
  readonly kind: KernelKind;
  /** Whether bf16 tokens are attended to in place, by products of bf16 pairs. */
  readonly bf16Products: boolean;
  /** For each better kind: what is missing. */
  readonly passedOver: readonly PassedOver[];
}

/** What of a processor decides. */
export interface ProcessorFacts {
  /** The name that it gives itself. */
  readonly name: string;
  readonly features: ReadonlySet<Feature>;
}

/** The best kernels for a processor. Pure: nothing is asked of the machine. */
export function selectKernels(
  processor: ProcessorFacts,
  failed: ReadonlyMap<KernelKind, string> = new Map(),
): Selection {
  const { features } = processor;
  const passedOver: PassedOver[] = [];
  for (const kind of nativeKinds) {
    const missing = kindFeatures[kind].filter((feature) => !features.has(feature));
    const reason =
      missing.length > 0
        ? `the processor or its operating system lacks ${missing.join(', ')}`
        : failed.get(kind);
    if (reason === undefined) {
      const bf16Products = kind === 'amx' || (kind === 'avx512' && gainsFromBf16(processor));
      return { kind, bf16Products, passedOver };
    }
    passedOver.push({ kind, reason });
  }
  return { kind: 'wasm', bf16Products: false, passedOver };
}

/**
 * AMD's processors multiply twice as many numbers of bf16 as of f32 in the same time, Intel's half as many: there
 * the instruction is slower than converting, and the tile registers are for this.
 */
function gainsFromBf16({ name, features }: ProcessorFacts): boolean {
  return /\bAMD\b/i.test(name) && rowsBf16Features.every((feature) => features.has(feature));
}
