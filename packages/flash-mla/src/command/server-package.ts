import { ProblemError } from '@flash-mla/core';

const name = '@flash-mla/server';

/** A command needs a package that is not installed. */
export class MissingPackageError extends ProblemError {
  override readonly name = 'MissingPackageError';
}

/**
 * The server's package: an optional peer, since its libraries are as large as all the rest. Throws
 * {@link MissingPackageError} where it is not installed.
 */
export async function loadServer<M = typeof import('@flash-mla/server')>(
  load: () => Promise<M> = () => import('@flash-mla/server') as Promise<M>,
): Promise<M> {
  try {
    return await load();
  } catch (error) {
    const { code, message = '' } = Object(error) as { code?: unknown; message?: string };
    // What the package itself fails to find is another error.
    if (code !== 'ERR_MODULE_NOT_FOUND' || !message.includes(`'${name}'`)) throw error;
    const problem = {
      subject: name,
      expected: 'an installed package',
      actual: 'none',
      remedy: 'Install it beside flash-mla, in the same version: README.md of flash-mla says how.',
    };
    throw new MissingPackageError(problem, { cause: error });
  }
}
