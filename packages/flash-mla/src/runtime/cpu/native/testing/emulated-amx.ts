/** The kernels for AMX with tiles in memory, which run on other processors as well, one thread at a time. */

import { defineKernel, type Kernel } from '@flash-mla/machine-code';
import type { NativeFinding } from '../finding.ts';
import { rowsAmxTokens, rowsBf16Features } from '../kernels/features.ts';
import { productsJob } from '../kernels/products/job.ts';
import { emitProductsAmx } from '../kernels/products/products-amx.ts';
import { rowsJob } from '../kernels/rows/job.ts';
import { emitRowsAmx } from '../kernels/rows/rows-amx.ts';
import { unpackKernel } from '../kernels/unpack/unpack.ts';
import { emulatedTileBytes, withEmulatedTiles } from './emulated-tiles.ts';
import { addressOf, place } from './machine.ts';

const features = rowsBf16Features;

/** The kernels with tiles at an address. */
export function emulatedKernels(tilesAt: bigint): {
  readonly rows: Kernel<typeof rowsJob>;
  readonly products: Kernel<typeof productsJob>;
} {
  return {
    rows: defineKernel(
      { name: 'rows_amx', features, job: rowsJob, args: ['base'] },
      (k, { base, ...job }) => emitRowsAmx(withEmulatedTiles(k, tilesAt), job, base),
    ),
    products: defineKernel(
      { name: 'products_amx', features, job: productsJob, args: ['base'] },
      (k, { base, ...job }) => emitProductsAmx(withEmulatedTiles(k, tilesAt), job, base),
    ),
  };
}

/** The kernels below write there by its address: exported, so that it is not collected. */
export const tiles = new Uint8Array(emulatedTileBytes);

/** With tiles in memory of this process. */
export const { rows: emulatedRows, products: emulatedProducts } = emulatedKernels(addressOf(tiles));

/** What a device with AMX runs, made of what was found here: for devices of one thread. */
export function emulatedAmx(found: NativeFinding): NativeFinding {
  if (found.start === undefined) throw new Error('this process runs no machine code');
  const rows = { address: place(emulatedRows), tokens: rowsAmxTokens };
  const [unpack, products] = [place(unpackKernel), place(emulatedProducts)];
  return { ...found, start: { ...found.start, rows, unpack, products } };
}
