import type { TemplateMessage } from '../model/served-model.ts';

/** A tool in the form of the OpenAI API, which chat templates expect. */
export interface ToolDefinition {
  readonly type: 'function';
  readonly function: {
    readonly name: string;
    readonly description?: string | null | undefined;
    readonly parameters?: Readonly<Record<string, unknown>> | null | undefined;
    readonly strict?: boolean | null | undefined;
  };
}

/** Whether tools are called: as the model likes, not, some one for certain, or one by its name. */
export type ToolChoice =
  | { readonly kind: 'auto' | 'none' | 'required' }
  | { readonly kind: 'named'; readonly name: string };

/** What the answer has to be. */
export type AnswerFormat =
  | { readonly kind: 'text' | 'json' }
  | { readonly kind: 'schema'; readonly schema: Readonly<Record<string, unknown>> };

/** A conversation to answer, whichever protocol it came by. */
export interface Conversation {
  readonly messages: readonly TemplateMessage[];
  readonly tools: readonly ToolDefinition[];
  readonly toolChoice: ToolChoice;
  /** False: the first call is the only one. */
  readonly parallelCalls: boolean;
  readonly format: AnswerFormat;
  /** Undefined leaves it to the template whether the model thinks. */
  readonly thinking: { readonly enabled: boolean; readonly effort?: string } | undefined;
  /** Variables that the model's template knows. */
  readonly variables: Readonly<Record<string, unknown>>;
  readonly addGenerationPrompt: boolean;
}
