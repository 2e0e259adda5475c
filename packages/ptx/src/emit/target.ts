import { DeclarationError } from '../errors.ts';

/** A PTX version as major × 10 + minor: 78 is PTX 7.8. */
export type PtxVersion = number;

/** What an instruction needs: the least compute capability and PTX version that have it. */
export interface Requirement {
  /** Compute capability × 10, such as 89. */
  readonly sm: number;
  readonly ptx: PtxVersion;
  /** Set when only the architecture-specific target (`sm_90a`) has it. */
  readonly variant?: 'a';
}

/** An architecture to emit for, in the parts that kernels ask about through `k.target`. */
export interface Target {
  /** As written after `.target`, such as `sm_90a`. */
  readonly name: string;
  /** Compute capability × 10, such as 90. */
  readonly sm: number;
  /** True for architecture-specific targets, whose code runs on that architecture alone. */
  readonly specific: boolean;
  /** The most shared memory a CTA can have there, in bytes. */
  readonly maxSharedBytes: number;
}

const known: Record<string, { ptx: PtxVersion; shared: number }> = {
  sm_80: { ptx: 70, shared: 166_912 },
  sm_86: { ptx: 71, shared: 101_376 },
  sm_87: { ptx: 74, shared: 166_912 },
  sm_89: { ptx: 78, shared: 101_376 },
  sm_90: { ptx: 78, shared: 232_448 },
  sm_90a: { ptx: 80, shared: 232_448 },
  sm_100: { ptx: 86, shared: 232_448 },
  sm_100a: { ptx: 86, shared: 232_448 },
  sm_103: { ptx: 88, shared: 232_448 },
  sm_120: { ptx: 87, shared: 101_376 },
  sm_121: { ptx: 88, shared: 101_376 },
};

/**
 * Looks up an architecture by its PTX name.
 * @throws DeclarationError for a name that is not an architecture from sm_80 up.
 */
export function parseTarget(name: string): Target {
  const entry = known[name];
  if (entry === undefined) {
    throw new DeclarationError(
      `unknown target "${name}"; expected one of ${Object.keys(known).join(', ')}`,
    );
  }
  const digits = /\d+/.exec(name)?.[0] ?? '0';
  return {
    name,
    sm: Number(digits),
    specific: name.endsWith('a'),
    maxSharedBytes: entry.shared,
  };
}

/** The lowest PTX version that knows this target. */
export function baseVersion(target: Target): PtxVersion {
  return known[target.name]?.ptx ?? 70;
}
