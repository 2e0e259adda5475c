/** Turns tokens into text as they come; a character of several tokens appears with its last one. */
export interface IncrementalDecoder {
  push(token: number): string;
  /** What is left at the end: replacement characters where one stayed incomplete. */
  flush(): string;
}

/** What the server needs of a tokenizer. */
export interface ServedTokenizer {
  /** Special tokens that the text spells out are recognised. */
  encode(text: string, options: { readonly addSpecialTokens: boolean }): readonly number[];
  /** The same in another thread, for texts whose cutting would keep this one too long. */
  readonly encodeLong?: (
    text: string,
    options: { readonly addSpecialTokens: boolean },
  ) => Promise<readonly number[]>;
  decode(tokens: readonly number[], options: { readonly skipSpecialTokens: boolean }): string;
  /** A decoder that spells special tokens out, for one sequence. */
  decoder(): IncrementalDecoder;
  /** Whether a token marks structure instead of spelling text. */
  isSpecial(token: number): boolean;
  /** The bytes that a token stands for; undefined where no token has the number. */
  bytesOf(token: number): Uint8Array | undefined;
  /** The token that a text spells as one, a special one for instance. */
  idOf(text: string): number | undefined;
}

/** A message as chat templates take it. */
export interface TemplateMessage {
  readonly role: string;
  readonly content: string | null;
  readonly [field: string]: unknown;
}

export interface RenderOptions {
  readonly addGenerationPrompt: boolean;
  /** In the form of the OpenAI API. */
  readonly tools?: readonly unknown[];
  /** What a template may know: `enable_thinking`, `thinking`. */
  readonly variables: Readonly<Record<string, unknown>>;
}

/** How a model writes tool calls and thoughts: the models of a family have learnt one format. */
export type OutputFamily =
  | 'deepseek-v3'
  | 'deepseek-v3.1'
  | 'deepseek-v3.2'
  | 'deepseek-v4'
  | 'kimi-k2'
  | 'glm';

/** How conversations become prompts, and what answers look like. */
export interface ChatFormat {
  /** @throws Error with what the template says where it refuses the messages. */
  render(messages: readonly TemplateMessage[], options: RenderOptions): string;
  readonly family: OutputFamily;
}

/** A model as the server sees it: everything but the device. */
export interface ServedModel {
  /** Its name in requests. */
  readonly id: string;
  /** The longest sequence, prompt and output together. */
  readonly maxModelLength: number;
  /** Tokens that logits are given for; at least one more than the largest token. */
  readonly vocabularySize: number;
  readonly tokenizer: ServedTokenizer;
  /** Undefined for a model that only continues text. */
  readonly chat?: ChatFormat;
  /** Tokens that end an answer. */
  readonly stopTokens: readonly number[];
  /** What holds where a request says nothing; the model's own advice (generation_config.json). */
  readonly defaults: {
    readonly temperature: number;
    readonly topP?: number;
    readonly topK?: number;
    readonly repetitionPenalty?: number;
  };
}
