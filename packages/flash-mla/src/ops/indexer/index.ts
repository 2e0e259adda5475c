/** The lightning indexer of DeepSeek V3.2 and GLM-5: which tokens a query attends to. */

export { type Fp8MqaLogitsOptions, fp8MqaLogits } from './api/fp8-mqa-logits.ts';
export {
  type Fp8PagedMqaLogitsOptions,
  fp8PagedMqaLogits,
} from './api/fp8-paged-mqa-logits.ts';
export { type IndexTopKOptions, indexTopK } from './api/index-top-k.ts';
export {
  type IndexQueries,
  type PrepareIndexQueriesOptions,
  prepareIndexQueries,
} from './api/prepare-index-queries.ts';
export type { IndexRotation } from './api/rope-tables.ts';
export { type StoreIndexKeysOptions, storeIndexKeys } from './api/store-index-keys.ts';
