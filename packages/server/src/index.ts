export { type BenchServerOptions, benchServer } from './bench/bench-server.ts';
export type { LoadKind, LoadOptions } from './bench/load.ts';
export type { LoadSummary, Objective, Percentiles } from './bench/summary.ts';
export { type CreateEngineOptions, createEngine } from './create-engine.ts';
export { ApiError, GrammarError, ServerOptionError } from './errors.ts';
export type { Backend, BackendListener, BackendRequest } from './generate/backend.ts';
export { type ChatEvent, type ChatOptions, chat } from './generate/chat.ts';
export type {
  AnswerFormat,
  ToolChoice,
  ToolDefinition,
} from './generate/conversation.ts';
export { LocalBackend } from './generate/local-backend.ts';
export type {
  FinishReason,
  GenerationEvent,
  GenerationRequest,
  Usage,
} from './generate/request.ts';
export { type Generation, TextEngine } from './generate/text-engine.ts';
export type { Grammars } from './grammar/grammars.ts';
export { type GrammarVocabulary, grammarVocabulary } from './grammar/vocabulary.ts';
export { type GrammarLimits, WorkerGrammars } from './grammar/worker-grammars.ts';
export { createLogger } from './logger.ts';
export { type CheckpointModelOptions, readServedModel } from './model/checkpoint-model.ts';
export type {
  ChatFormat,
  IncrementalDecoder,
  OutputFamily,
  RenderOptions,
  ServedModel,
  ServedTokenizer,
  TemplateMessage,
} from './model/served-model.ts';
export {
  type ReasoningField,
  type ResolvedServerOptions,
  resolveServerOptions,
  type ServerOptions,
} from './options.ts';
export type { OutputPart } from './output/parts.ts';
export { Server } from './server.ts';
