import { describe, expect, it } from 'vitest';
import { exitCodeOf, exitCodes } from './errors.ts';
import { loadServer, MissingPackageError } from './server-package.ts';

const notFound = (name: string) =>
  Object.assign(new Error(`Cannot find package '${name}' imported from /here/serve.js`), {
    code: 'ERR_MODULE_NOT_FOUND',
  });

describe('the server, an optional package', () => {
  it('is loaded where it is installed', async () => {
    expect(await loadServer()).toHaveProperty('createEngine');
  });

  it('is asked for where it is not', async () => {
    const error = await loadServer(() => Promise.reject(notFound('@flash-mla/server'))).catch(
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(MissingPackageError);
    expect(error).toMatchObject({ subject: '@flash-mla/server' });
    expect(String(error)).toMatch(/Install it beside flash-mla/);
    expect(exitCodeOf(error)).toBe(exitCodes.usage);
  });

  it('may itself fail', async () => {
    const cause = notFound('hono');
    await expect(loadServer(() => Promise.reject(cause))).rejects.toBe(cause);
  });
});
