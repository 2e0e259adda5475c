/** Models on the devices of this library: `flash-mla/models`. */

export {
  type ChatMessage,
  type ChatPrompt,
  CheckpointError,
  type FinishReason,
  type GeneratedPiece,
  type GenerateOptions,
  type GenerationEnd,
  LanguageModel,
  ModelConfigError,
  ModelError,
  ModelNotFoundError,
  ModelOptionError,
  type Prompt,
  type PromptCheck,
  Tokenizer,
  TokenizerError,
  UnsupportedModelError,
} from '@flash-mla/models';
export type { ModelCacheDType } from './cache-dtype.ts';
export { createOperations } from './create-operations.ts';
export {
  type DeviceMatrix,
  DeviceOperations,
  type DeviceOperationsOptions,
} from './device-operations.ts';
export {
  checkModelAnswers,
  type DeviceModelOptions,
  loadModel,
  type ModelDType,
} from './load-model.ts';
