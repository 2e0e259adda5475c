import { Template } from '@huggingface/jinja';
import { messageOf, TokenizerError } from '../errors.ts';
import type { PromptFormat } from './prompt-format.ts';

/** One message of a conversation, in the form that chat templates expect. */
export interface ChatMessage {
  readonly role: string;
  readonly content: string | null;
  /** Further fields that a template may read, such as `tool_calls` or `reasoning_content`. */
  readonly [field: string]: unknown;
}

export interface ChatOptions {
  /** Whether the prompt ends where the model's answer begins (default: true). */
  readonly addGenerationPrompt?: boolean;
  /** Tools in the form of the OpenAI API. */
  readonly tools?: readonly unknown[];
  /** Variables that this model's template knows, such as `enable_thinking`. */
  readonly variables?: Readonly<Record<string, unknown>>;
}

/** A model's own way to write a conversation as one text. */
export class ChatTemplate implements PromptFormat {
  /** The Jinja source. */
  readonly source: string;
  readonly #template: Template;
  readonly #specialTokens: Readonly<Record<string, string>>;

  /** Throws {@link TokenizerError} where the source is no Jinja template. */
  constructor(source: string, specialTokens: Readonly<Record<string, string>> = {}) {
    this.source = source;
    this.#specialTokens = specialTokens;
    this.#template = guardTemplate('a Jinja template', () => new Template(source));
  }

  /**
   * The text of a conversation. It holds special tokens: encode it without adding more. Throws
   * {@link TokenizerError} where the template refuses the messages.
   */
  render(messages: readonly ChatMessage[], options: ChatOptions = {}): string {
    const { addGenerationPrompt = true, tools, variables = {} } = options;
    const tokens = this.#specialTokens;
    return guardTemplate('a template that takes these messages', () =>
      this.#template.render({
        ...tokens,
        ...variables,
        messages,
        ...(tools === undefined ? {} : { tools }),
        add_generation_prompt: addGenerationPrompt,
      }),
    );
  }
}

/** What goes wrong in `run` as a {@link TokenizerError}. */
export function guardTemplate<Result>(expected: string, run: () => Result): Result {
  try {
    return run();
  } catch (error) {
    throw new TokenizerError(
      {
        subject: 'chat template',
        expected,
        actual: messageOf(error),
        remedy: 'Check the roles and fields of the messages, or use the template of the model.',
      },
      { cause: error },
    );
  }
}
