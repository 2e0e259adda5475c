import type { ChatMessage, ChatOptions } from './chat-template.ts';

/** How a model's conversations become text. */
export interface PromptFormat {
  /** The template, or a text that holds the marks which the model writes. */
  readonly source: string;
  /** Throws TokenizerError for messages that the format has no place for. */
  render(messages: readonly ChatMessage[], options?: ChatOptions): string;
}
