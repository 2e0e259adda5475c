import type { LanguageModel } from 'flash-mla/models';
import { beforeClose, device, type TaskContext } from '../session.ts';
import { demoModel } from './demo-model.ts';

/** The model that comes with the page, or the files of a folder in the form of Hugging Face. */
export type ModelSource =
  | { readonly kind: 'demo' }
  | { readonly kind: 'files'; readonly name: string; readonly files: readonly File[] };

/** A model that has been loaded onto the open device. */
export interface ChatModel {
  readonly name: string;
  readonly family: string;
  readonly numLayers: number;
  /** The longest conversation, in tokens. */
  readonly maxTokens: number;
  /** Without one, the model goes on with the text that it is given. */
  readonly hasTemplate: boolean;
  readonly loadMs: number;
}

/** Weights that have arrived, in elements. */
export interface LoadProgress {
  readonly done: number;
  readonly total: number;
}

let current: LanguageModel | undefined;

/** The loaded model. Throws where there is none. */
export function model(): LanguageModel {
  if (current === undefined) throw new Error('Load a model first.');
  return current;
}

/** Loads a model onto the open device, in place of the one before. */
export async function loadChatModel(
  source: ModelSource,
  { signal, emit }: TaskContext<LoadProgress>,
): Promise<ChatModel> {
  const { filesFrom, loadModel } = await import('flash-mla/models');
  await disposeModel();
  const begin = performance.now();
  const files =
    source.kind === 'demo'
      ? await demoModel(signal)
      : filesFrom(source.name, Object.fromEntries(source.files.map((file) => [file.name, file])));
  const loaded = await loadModel(files, {
    ...{ device: device(), signal, maxSequences: 1 },
    onProgress: (done, total) => emit({ done, total }),
  });
  current = loaded;
  beforeClose(disposeModel);
  return {
    name: loaded.name,
    family: loaded.config.family,
    numLayers: loaded.config.numLayers,
    maxTokens: loaded.maxTokens,
    hasTemplate: loaded.tokenizer.chatTemplate !== undefined,
    loadMs: performance.now() - begin,
  };
}

async function disposeModel(): Promise<void> {
  const before = current;
  current = undefined;
  await before?.dispose();
}
