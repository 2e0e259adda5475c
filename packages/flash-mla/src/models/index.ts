/** Models on the devices of this library: `flash-mla/models`. */

export {
  type AnswerPart,
  type ChatMessage,
  type ChatPrompt,
  CheckpointError,
  type FinishReason,
  filesFrom,
  type GeneratedPiece,
  type GenerateOptions,
  type GenerationEnd,
  LanguageModel,
  ModelConfigError,
  ModelError,
  type ModelFiles,
  ModelNotFoundError,
  ModelOptionError,
  type Prompt,
  type PromptCheck,
  Thoughts,
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
