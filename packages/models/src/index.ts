export { filesIn, findModel } from '#find-model';
export type { PromptCheck } from './check/check-answers.ts';
export { checkModel, checkModelOn } from './check/check-model.ts';
export { filesFrom } from './checkpoint/files-from.ts';
export { type LoadOptions, loadWeights } from './checkpoint/load-weights.ts';
export type { ModelFiles } from './checkpoint/model-files.ts';
export { type Parts, planWeights, type TensorSource } from './checkpoint/weight-plan.ts';
export {
  defaultGenerationConfig,
  type GenerationConfig,
  parseGenerationConfig,
} from './config/generation-config.ts';
export type {
  AttentionConfig,
  ModelConfig,
  MoeConfig,
  QuantizationConfig,
  RopeConfig,
  RopeScaling,
  RoutingConfig,
} from './config/model-config.ts';
export { parseConfig } from './config/parse-config.ts';
export {
  CheckpointError,
  ModelConfigError,
  ModelError,
  ModelNotFoundError,
  ModelOptionError,
  type Problem,
  TokenizerError,
  UnsupportedModelError,
} from './errors.ts';
export {
  cacheValuesPerToken,
  indexKeysPerToken,
  type Parameters,
  parametersOf,
} from './estimate/parameters.ts';
export { modelTypes } from './families/index.ts';
export { DecoderRunner } from './generation/decoder-runner.ts';
export { LanguageModel, type LanguageModelParts } from './generation/language-model.ts';
export {
  hiSparseFor,
  type LoadedRunner,
  type LoadModelOptions,
  loadModel,
  loadModelOn,
  loadRunner,
  readConfig,
  readModelFiles,
} from './generation/load-model.ts';
export type {
  ChatPrompt,
  FinishReason,
  GeneratedPiece,
  GenerateOptions,
  GenerationEnd,
  Prompt,
} from './generation/options.ts';
export { decodeWork, prefillWork, type StepWork } from './generation/step-work.ts';
export type { LayerCache } from './layers/attention.ts';
export { type Batch, makeBatch, type Sequence, type SequenceTokens } from './layers/batch.ts';
export { Decoder } from './layers/decoder.ts';
export type { HotCache, HotCacheShape } from './layers/hot-cache.ts';
export { mapWeights, matricesOf, matricesOfCache } from './layers/map-weights.ts';
export type {
  AttentionCall,
  AttentionForm,
  Head,
  IndexKeysCall,
  IndexQueriesCall,
  LatentWrite,
  Operations,
  QuantizedPart,
  WeightPart,
  WeightStore,
  WeightUse,
} from './layers/operations.ts';
export type { ModuleOperations, OperationsModule } from './layers/operations-module.ts';
export type { Rotation } from './layers/rotary.ts';
export type {
  AttentionWeights,
  IndexerWeights,
  LayerWeights,
  Linear,
  MlpWeights,
  ModelWeights,
  MoeWeights,
} from './layers/weights.ts';
export type { PlainMatrix } from './plain/matrix.ts';
export { PlainOperations } from './plain/plain-operations.ts';
export { type ChatMessage, type ChatOptions, ChatTemplate } from './tokenizer/chat-template.ts';
export { DeepSeekV32Format } from './tokenizer/deepseek-v32-format.ts';
export { Detokenizer } from './tokenizer/detokenizer.ts';
export type { PromptFormat } from './tokenizer/prompt-format.ts';
export { type StopResult, StopStrings } from './tokenizer/stop-strings.ts';
export { type AnswerPart, Thoughts } from './tokenizer/thoughts.ts';
export { Tokenizer, type TokenizerFiles } from './tokenizer/tokenizer.ts';
