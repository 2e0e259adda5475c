import { InvalidArgumentError } from '@flash-mla/core';

/** What the rows of a model's KV cache are: bf16, or e4m3 with scales, which are `v32` rows of 656 bytes. */
export const modelCacheDTypes = ['bf16', 'fp8'] as const;
export type ModelCacheDType = (typeof modelCacheDTypes)[number];

/** Throws InvalidArgumentError for what is no element type of a cache. Default bf16. */
export function checkCacheDType(name: string, value: unknown = 'bf16'): ModelCacheDType {
  const known = modelCacheDTypes.find((dtype) => dtype === value);
  if (known !== undefined) return known;
  throw new InvalidArgumentError(name, modelCacheDTypes.join(' or '), String(value).slice(0, 40));
}
