import type { SafetensorsFile, TensorEntry } from '@flash-mla/safetensors';
import { JsonFields } from '../config/json-fields.ts';
import { CheckpointError, shown } from '../errors.ts';
import type { ModelFiles } from './model-files.ts';

const single = 'model.safetensors';
const indexFile = 'model.safetensors.index.json';
const remedy = 'Get the checkpoint again as its authors published it.';

/** The tensors of a checkpoint, whichever file each is in. */
export class Shards {
  /** Where each tensor is. */
  readonly tensors: ReadonlyMap<
    string,
    { readonly file: SafetensorsFile; readonly entry: TensorEntry }
  >;
  readonly #files: readonly SafetensorsFile[];

  private constructor(files: readonly SafetensorsFile[], tensors: Shards['tensors']) {
    this.#files = files;
    this.tensors = tensors;
  }

  /**
   * Opens the files that the index names, or the only one. Throws {@link CheckpointError} where index and
   * files do not agree, and FileFormatError for a malformed or truncated file.
   */
  static async open(model: ModelFiles): Promise<Shards> {
    const text = await model.text(indexFile);
    const map = text === undefined ? undefined : weightMap(text, `${model.name}/${indexFile}`);
    const files: SafetensorsFile[] = [];
    try {
      const byName = new Map<string, SafetensorsFile>();
      for (const name of map === undefined ? [single] : new Set(map.values())) {
        const file = await model.tensors(name);
        files.push(file);
        byName.set(name, file);
      }
      if (map !== undefined) checkMap(map, byName);
      return new Shards(files, merge(files));
    } catch (error) {
      await Promise.allSettled(files.map((file) => file.close()));
      throw error;
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#files.map((file) => file.close()));
  }
}

function weightMap(text: string, file: string): Map<string, string> {
  const map = new Map<string, string>();
  const fields = JsonFields.parse(text, file).object('weight_map');
  for (const name of fields.names()) {
    const shard = fields.string(name);
    // An index must not lead to other folders.
    if (!/^[\w.-]+\.safetensors$/.test(shard)) {
      fields.fail(shown(name), 'the name of a safetensors file beside the index', shown(shard));
    }
    map.set(name, shard);
  }
  return map;
}

function checkMap(
  map: ReadonlyMap<string, string>,
  files: ReadonlyMap<string, SafetensorsFile>,
): void {
  for (const [name, shard] of map) {
    if (files.get(shard)?.has(name) === true) continue;
    throw new CheckpointError({
      subject: `tensor ${shown(name)}`,
      expected: `to be in ${shard}, as the index says`,
      actual: 'no such tensor there',
      remedy,
    });
  }
}

function merge(files: readonly SafetensorsFile[]): Shards['tensors'] {
  const tensors = new Map<string, { file: SafetensorsFile; entry: TensorEntry }>();
  for (const file of files) {
    for (const [name, entry] of file.entries) {
      const other = tensors.get(name);
      if (other !== undefined) {
        throw new CheckpointError({
          subject: `tensor ${shown(name)}`,
          expected: 'to be in one file',
          actual: `it is in ${other.file.name} and in ${file.name}`,
          remedy,
        });
      }
      tensors.set(name, { file, entry });
    }
  }
  return tensors;
}
