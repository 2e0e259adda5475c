// Where the built packages are: in this repository, or where APP says (a bundle for a bare machine).
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

export const root = process.env.APP ?? fileURLToPath(new URL('../..', import.meta.url));

/** Imports a built module of flash-mla by its path below `dist`. */
export function flashMla(path) {
  return import(pathToFileURL(join(root, 'node_modules/flash-mla/dist', path)).href);
}

/** Imports a built module of @flash-mla/ptx by its path below `dist`. */
export function ptx(path = 'index.js') {
  return import(pathToFileURL(join(root, 'node_modules/@flash-mla/ptx/dist', path)).href);
}

/** Imports @flash-mla/core. */
export function core() {
  return import(pathToFileURL(join(root, 'node_modules/@flash-mla/core/dist/index.js')).href);
}

/** The driver that a `--device` names: `cuda` (the default) or `sim`. */
export async function openDriver(name = 'cuda') {
  if (name === 'sim') {
    const { SimDriver } = await flashMla('runtime/sim/driver.js');
    return new SimDriver();
  }
  const { openLibcuda } = await flashMla('runtime/cuda/libcuda/load.js');
  return openLibcuda();
}
