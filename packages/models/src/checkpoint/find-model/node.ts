/** Models in folders, behind the `#find-model` import. */

import { readFile, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { openSafetensors } from '@flash-mla/safetensors';
import { CheckpointError, ModelNotFoundError, shown } from '../../errors.ts';
import { type ModelFiles, maxTextBytes } from '../model-files.ts';

/**
 * Finds a model: a folder with a config.json, or an installed package that has one, such as
 * `@flash-mla/tales`. Nothing is downloaded. Throws {@link ModelNotFoundError}.
 */
export async function findModel(pathOrPackage: string): Promise<ModelFiles> {
  const folder = (await hasConfig(pathOrPackage)) ? pathOrPackage : packageFolder(pathOrPackage);
  if (folder === undefined) {
    throw new ModelNotFoundError({
      subject: `model ${shown(pathOrPackage)}`,
      expected: 'a folder with a config.json, or an installed package that has one',
      actual: (await exists(pathOrPackage)) ? 'a path without one' : 'neither',
      remedy: 'Get a model with `hf download OWNER/NAME --local-dir FOLDER` and name the folder.',
    });
  }
  return filesIn(folder);
}

/** The files of a folder. */
export function filesIn(folder: string): ModelFiles {
  return {
    name: folder,
    text: async (file) => {
      const path = join(folder, file);
      const found = await stat(path).catch(() => undefined);
      if (found === undefined) return undefined;
      if (!found.isFile() || found.size > maxTextBytes) {
        throw new CheckpointError({
          subject: path,
          expected: `a file of at most ${maxTextBytes} bytes`,
          actual: found.isFile() ? `${found.size} bytes` : 'something else',
          remedy: 'Get the file again as its authors published it.',
        });
      }
      return readFile(path, 'utf8');
    },
    tensors: (file) => openSafetensors(join(folder, file)),
  };
}

async function hasConfig(folder: string): Promise<boolean> {
  return folder !== '' && !folder.includes('\0') && (await exists(join(folder, 'config.json')));
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** Where a package is installed, as seen from this one and from the program. */
function packageFolder(name: string): string | undefined {
  if (!/^(?:@[\w.-]+\/)?[\w-][\w.-]*$/.test(name)) return undefined;
  for (const from of [import.meta.url, join(process.cwd(), 'index.js')]) {
    try {
      return dirname(createRequire(from).resolve(`${name}/config.json`));
    } catch {
      // Not installed there, or not a model.
    }
  }
  return undefined;
}
