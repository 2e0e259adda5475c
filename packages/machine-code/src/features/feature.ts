/** Extensions of x86-64 that instructions need, by the names that Linux gives them. */
export type Feature =
  | 'popcnt'
  | 'bmi1'
  | 'bmi2'
  | 'lzcnt'
  | 'rdtscp'
  | '3dnowprefetch'
  | 'avx'
  | 'f16c'
  | 'fma'
  | 'avx2'
  | 'avx512f'
  | 'avx512bw'
  | 'avx512dq'
  | 'avx512vl'
  | 'avx512cd'
  | 'avx512vbmi'
  | 'avx512_vbmi2'
  | 'avx512_vnni'
  | 'avx512_bf16'
  | 'avx512_fp16'
  | 'amx_tile'
  | 'amx_bf16'
  | 'amx_int8'
  | 'amx_fp16';

// Every processor with the one has the others.
const implied: Partial<Record<Feature, readonly Feature[]>> = {
  avx2: ['avx'],
  fma: ['avx'],
  f16c: ['avx'],
  avx512f: ['avx2', 'fma', 'f16c'],
  avx512bw: ['avx512f'],
  avx512dq: ['avx512f'],
  avx512vl: ['avx512f'],
  avx512cd: ['avx512f'],
  avx512vbmi: ['avx512bw'],
  avx512_vbmi2: ['avx512bw'],
  avx512_vnni: ['avx512f'],
  avx512_bf16: ['avx512bw'],
  avx512_fp16: ['avx512bw', 'avx512dq', 'avx512vl'],
  amx_bf16: ['amx_tile'],
  amx_int8: ['amx_tile'],
  amx_fp16: ['amx_tile'],
};

/** The features with all those that they imply. */
export function withImplied(features: Iterable<Feature>): Set<Feature> {
  const all = new Set(features);
  for (const feature of all) for (const more of implied[feature] ?? []) all.add(more);
  return all;
}
