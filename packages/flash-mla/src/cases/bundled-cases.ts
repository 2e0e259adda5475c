/** Names of the case files that ship with the package: small problems with an H200's answers. */
export const bundledCaseNames = [
  'dense_varlen',
  'dense_causal_gqa',
  'sparse_v32',
  'sparse_v32_invalid',
  'sparse_model1_extra',
  'prefill_576',
  'prefill_512',
] as const;

/** Where a bundled case file lies. */
export function bundledCaseUrl(name: (typeof bundledCaseNames)[number]): URL {
  return new URL(`../../vectors/${name}.safetensors`, import.meta.url);
}
