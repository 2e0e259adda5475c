import { Tokenizer as HuggingFaceTokenizer } from '@huggingface/tokenizers';
import { messageOf, TokenizerError } from '../errors.ts';
import { ChatTemplate } from './chat-template.ts';
import type { PromptFormat } from './prompt-format.ts';

/** The files of a checkpoint that say how text becomes tokens, as text. */
export interface TokenizerFiles {
  /** tokenizer.json */
  readonly tokenizer: string;
  /** tokenizer_config.json; a model may have none. */
  readonly config?: string;
  /** chat_template.jinja; it wins over the template in tokenizer_config.json. */
  readonly chatTemplate?: string;
  /** Of a model that comes without a template. */
  readonly promptFormat?: PromptFormat;
}

/** Text to token ids and back, by the rules of a checkpoint's tokenizer.json. */
export class Tokenizer {
  /** Undefined where the checkpoint has none. */
  readonly chatTemplate: PromptFormat | undefined;
  readonly #inner: HuggingFaceTokenizer;
  readonly #special: ReadonlySet<number>;

  /** Throws {@link TokenizerError} for files that make no tokenizer. */
  constructor(files: TokenizerFiles) {
    const config = objectOf(files.config ?? '{}', 'tokenizer_config.json');
    this.#inner = build(objectOf(files.tokenizer, 'tokenizer.json'), config);
    const added = this.#inner.get_added_tokens_decoder();
    this.#special = new Set([...added].flatMap(([id, token]) => (token.special ? [id] : [])));
    const template = files.chatTemplate ?? defaultTemplate(config.chat_template);
    this.chatTemplate =
      template === undefined
        ? files.promptFormat
        : new ChatTemplate(template, specialTokens(config));
  }

  /**
   * Token ids of a text. Special tokens that the text spells out are recognised.
   *
   * @param addSpecialTokens whether tokenizer.json may put tokens such as the beginning of a sequence
   * around the text; a chat template has written them already.
   */
  encode(text: string, { addSpecialTokens = true } = {}): number[] {
    const { ids } = this.#guard('a text', () =>
      this.#inner.encode(text, { add_special_tokens: addSpecialTokens }),
    );
    return ids;
  }

  /** The text of token ids. Ids without a token, such as those that pad a vocabulary, give nothing. */
  decode(ids: readonly number[], { skipSpecialTokens = false } = {}): string {
    const known = ids.filter((id) => this.#inner.id_to_token(id) !== undefined);
    if (known.length === 0) return '';
    return this.#guard('token ids', () =>
      this.#inner.decode(known, {
        skip_special_tokens: skipSpecialTokens,
        clean_up_tokenization_spaces: false,
      }),
    );
  }

  /** The id of a token by its spelling in the vocabulary. */
  idOf(token: string): number | undefined {
    return this.#inner.token_to_id(token);
  }

  /** Whether a token marks structure instead of spelling text. */
  isSpecial(id: number): boolean {
    return this.#special.has(id);
  }

  #guard<Result>(what: string, run: () => Result): Result {
    try {
      return run();
    } catch (error) {
      throw new TokenizerError(
        {
          subject: 'tokenizer.json',
          expected: `rules that ${what} can be put through`,
          actual: messageOf(error),
          remedy: 'Get the file again as its authors published it.',
        },
        { cause: error },
      );
    }
  }
}

function build(
  json: Record<string, unknown>,
  config: Record<string, unknown>,
): HuggingFaceTokenizer {
  try {
    const tokenizer = new HuggingFaceTokenizer(json, config);
    // Some of what is missing shows only when it is used.
    tokenizer.encode('a b');
    return tokenizer;
  } catch (error) {
    throw new TokenizerError(
      {
        subject: 'tokenizer.json',
        expected: 'a tokenizer in the format of Hugging Face tokenizers',
        actual: messageOf(error),
        remedy: 'Get the file again as its authors published it.',
      },
      { cause: error },
    );
  }
}

function objectOf(text: string, file: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      return value as Record<string, unknown>;
    }
  } catch {
    // The same complaint as for JSON of another kind.
  }
  throw new TokenizerError({
    subject: file,
    expected: 'a JSON object',
    actual: text.length === 0 ? 'an empty file' : 'other text',
    remedy: 'Get the file again as its authors published it.',
  });
}

/** tokenizer_config.json has one template, or a list of named ones. */
function defaultTemplate(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  if (!Array.isArray(value)) return undefined;
  const named = value.find((item) => item?.name === 'default');
  return typeof named?.template === 'string' ? named.template : undefined;
}

/** `bos_token` and its like: strings, or objects with their content. */
function specialTokens(config: Record<string, unknown>): Record<string, string> {
  const tokens: Record<string, string> = {};
  for (const [name, value] of Object.entries(config)) {
    if (!name.endsWith('_token')) continue;
    const content =
      typeof value === 'object' && value !== null && 'content' in value ? value.content : value;
    if (typeof content === 'string') tokens[name] = content;
  }
  return tokens;
}
