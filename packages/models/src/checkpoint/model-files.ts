import type { SafetensorsFile } from '@flash-mla/safetensors';

/** The largest text file of a checkpoint that is read: tokenizers have a few megabytes. */
export const maxTextBytes = 1 << 28;

/** The files of a model in the form of Hugging Face, wherever they are. */
export interface ModelFiles {
  /** For messages. */
  readonly name: string;
  /** The text of a file; undefined where there is none. */
  text(file: string): Promise<string | undefined>;
  /** Opens a safetensors file. Throws FileFormatError for one that is malformed. */
  tensors(file: string): Promise<SafetensorsFile>;
}
