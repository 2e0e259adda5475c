/** The kernels for AMX with tiles in memory, which run on other processors as well, one thread at a time. */

import { defineKernel } from '@flash-mla/machine-code';
import type { NativeFinding } from '../finding.ts';
import { rowsAmxTokens, rowsBf16Features } from '../kernels/features.ts';
import { productsJob } from '../kernels/products/job.ts';
import { emitProductsAmx } from '../kernels/products/products-amx.ts';
import { rowsJob } from '../kernels/rows/job.ts';
import { emitRowsAmx } from '../kernels/rows/rows-amx.ts';
import { emulatedTileBytes, withEmulatedTiles } from './emulated-tiles.ts';
import { addressOf, place } from './machine.ts';

const tiles = new Uint8Array(emulatedTileBytes);
const features = rowsBf16Features;

export const emulatedRows = defineKernel(
  { name: 'rows_amx', features, job: rowsJob, args: ['base'] },
  (k, { base, ...job }) => emitRowsAmx(withEmulatedTiles(k, addressOf(tiles)), job, base),
);

export const emulatedProducts = defineKernel(
  { name: 'products_amx', features, job: productsJob, args: ['base'] },
  (k, { base, ...job }) => emitProductsAmx(withEmulatedTiles(k, addressOf(tiles)), job, base),
);

/** What a device with AMX runs, made of what was found here: for devices of one thread. */
export function emulatedAmx(found: NativeFinding): NativeFinding {
  if (found.start === undefined) throw new Error('this process runs no machine code');
  const rows = { address: place(emulatedRows), tokens: rowsAmxTokens };
  return { ...found, start: { ...found.start, rows, products: place(emulatedProducts) } };
}
