/**
 * Names of the recorded case files: small problems with an H200's answers. All of them are in a clone of
 * the repository, {@link bundledCaseNames} in the package as well.
 */
export const recordedCaseNames = [
  'dense_varlen',
  'dense_causal_gqa',
  'sparse_v32',
  'sparse_v32_invalid',
  'sparse_model1_extra',
  'prefill_576',
  'prefill_512',
] as const;

export type RecordedCaseName = (typeof recordedCaseNames)[number];

/** Names of the case files that ship with the package: one for each kind of attention. */
export const bundledCaseNames = [
  'dense_varlen',
  'sparse_v32',
  'prefill_512',
] as const satisfies readonly RecordedCaseName[];

/** Where a case file lies. Files beyond {@link bundledCaseNames} are there only in a clone. */
export function bundledCaseUrl(name: RecordedCaseName): URL {
  return new URL(`../../../../vectors/${name}.safetensors`, import.meta.url);
}
