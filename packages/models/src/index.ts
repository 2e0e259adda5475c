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
export { modelTypes } from './families/index.ts';
export { type ChatMessage, type ChatOptions, ChatTemplate } from './tokenizer/chat-template.ts';
export { Detokenizer } from './tokenizer/detokenizer.ts';
export { type StopResult, StopStrings } from './tokenizer/stop-strings.ts';
export { Tokenizer, type TokenizerFiles } from './tokenizer/tokenizer.ts';
