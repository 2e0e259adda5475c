/** The browser's side of the `#find-model` import; see node.ts for what each function promises elsewhere. */

import { ModelNotFoundError, shown } from '../../errors.ts';
import type { ModelFiles } from '../model-files.ts';

/** Rejects with {@link ModelNotFoundError}: a browser has neither folders nor installed packages. */
export async function findModel(pathOrPackage: string): Promise<ModelFiles> {
  throw noFolders(pathOrPackage);
}

/** Throws {@link ModelNotFoundError}. */
export function filesIn(folder: string): ModelFiles {
  throw noFolders(folder);
}

function noFolders(name: string): ModelNotFoundError {
  return new ModelNotFoundError({
    subject: `model ${shown(name)}`,
    expected: 'a program that can read folders',
    actual: 'a browser',
    remedy: 'Give the files themselves, or where to fetch them: filesFrom().',
  });
}
