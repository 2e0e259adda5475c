import { basename } from 'node:path';
import { Detokenizer, findModel, readModelFiles, type Tokenizer } from '@flash-mla/models';
import { familyOf } from './family-of.ts';
import type { ServedModel, ServedTokenizer } from './served-model.ts';
import { tokenBytes } from './token-bytes.ts';

export interface CheckpointModelOptions {
  /** Its name in requests. Default: the last part of the path or of the package's name. */
  readonly name?: string;
  /** Default: what the model can hold, at most `maxTokens`. */
  readonly maxModelLength?: number;
}

/**
 * Everything of a checkpoint but its weights: a folder in the form of Hugging Face, or an installed package
 * that is one.
 *
 * @throws ModelNotFoundError, ModelConfigError, TokenizerError, UnsupportedModelError
 */
export async function readServedModel(
  pathOrPackage: string,
  options: CheckpointModelOptions = {},
): Promise<ServedModel> {
  const files = await findModel(pathOrPackage);
  const { config, generationConfig, tokenizer } = await readModelFiles(files);
  const bytes = tokenBytes((await files.text('tokenizer.json')) ?? '{}');
  const { chatTemplate } = tokenizer;
  const { maxPositions, vocabSize } = config;
  const { repetitionPenalty, temperature, topK, topP } = generationConfig;
  return {
    id: options.name ?? basename(pathOrPackage),
    maxModelLength: Math.min(maxPositions, options.maxModelLength ?? maxPositions),
    vocabularySize: vocabSize,
    tokenizer: servedTokenizer(tokenizer, bytes),
    stopTokens: generationConfig.eosTokenIds ?? config.eosTokenIds,
    defaults: { temperature, topP, topK, repetitionPenalty },
    ...(chatTemplate && {
      chat: {
        family: familyOf(chatTemplate.source),
        render: (messages, { addGenerationPrompt, tools, variables }) =>
          chatTemplate.render(messages, {
            addGenerationPrompt,
            variables,
            ...(tools && { tools }),
          }),
      },
    }),
  };
}

function servedTokenizer(
  tokenizer: Tokenizer,
  bytes: readonly (Uint8Array | undefined)[],
): ServedTokenizer {
  return {
    encode: (text, options) => tokenizer.encode(text, options),
    decode: (tokens, options) => tokenizer.decode(tokens, options),
    decoder: () => new Detokenizer(tokenizer, { skipSpecialTokens: false }),
    isSpecial: (token) => tokenizer.isSpecial(token),
    bytesOf: (token) => bytes[token],
    idOf: (text) => tokenizer.idOf(text),
  };
}
