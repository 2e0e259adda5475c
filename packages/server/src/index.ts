export { ApiError, ServerOptionError } from './errors.ts';
export type { Backend, BackendListener, BackendRequest } from './generate/backend.ts';
export { LocalBackend } from './generate/local-backend.ts';
export type {
  FinishReason,
  GenerationEvent,
  GenerationRequest,
  Usage,
} from './generate/request.ts';
export { type Generation, TextEngine } from './generate/text-engine.ts';
export type {
  ChatFormat,
  IncrementalDecoder,
  OutputFamily,
  RenderOptions,
  ServedModel,
  ServedTokenizer,
  TemplateMessage,
} from './model/served-model.ts';
export type { ReasoningField, ServerOptions } from './options.ts';
export type { OutputPart } from './output/parts.ts';
export { Server } from './server.ts';
