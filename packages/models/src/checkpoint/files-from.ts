import { type FileInput, openFile, openSafetensors } from '@flash-mla/safetensors';
import { CheckpointError, messageOf } from '../errors.ts';
import { type ModelFiles, maxTextBytes } from './model-files.ts';

/**
 * The files of a model as a program has them: bytes, blobs that a user has chosen in a browser, or addresses to
 * fetch them from. A file that is not in `files` counts as absent, so nothing is asked for in vain.
 *
 * @param name of the model, for messages.
 * @param files by their names in the model's folder, such as `config.json`.
 */
export function filesFrom(name: string, files: Readonly<Record<string, FileInput>>): ModelFiles {
  const inputOf = (file: string) => (Object.hasOwn(files, file) ? files[file] : undefined);
  return {
    name,
    text: async (file) => {
      const input = inputOf(file);
      return input === undefined ? undefined : textOf(`${name}/${file}`, input);
    },
    // A file of the index that is not there is an empty one to the reader, which names it.
    tensors: (file) => openSafetensors(inputOf(file) ?? new Uint8Array(0), `${name}/${file}`),
  };
}

/** Throws {@link CheckpointError} for what cannot be read, or is too large to be text of a model. */
async function textOf(path: string, input: FileInput): Promise<string> {
  const bad = (actual: string, cause?: unknown) =>
    new CheckpointError(
      {
        subject: path,
        expected: `a file of at most ${maxTextBytes} bytes that can be read`,
        actual,
        remedy: 'Get the file again as its authors published it.',
      },
      { cause },
    );
  const checked = (bytes: number) => {
    if (bytes > maxTextBytes) throw bad(`${bytes} bytes`);
  };
  if (typeof input === 'string' || input instanceof URL) {
    const file = await openFile(input).catch((cause: unknown) => {
      throw bad(messageOf(cause), cause);
    });
    try {
      checked(file.size);
      return new TextDecoder().decode(await file.read(0, file.size));
    } finally {
      await file.close();
    }
  }
  if (input instanceof Blob) {
    checked(input.size);
    return input.text().catch((cause: unknown) => {
      throw bad(messageOf(cause), cause);
    });
  }
  checked(input.byteLength);
  return new TextDecoder().decode(input);
}
