import { defineKernel, type Gpr64, type Kernel, type KernelBuilder } from '@flash-mla/machine-code';
import { rowsAmxFeatures } from '../features.ts';
import type { ProductsInputs } from './context.ts';
import { productsJob } from './job.ts';
import { emitPackRows } from './pack-rows.ts';
import { emitTileProducts } from './tile-products.ts';

/**
 * sums = x · weightsᵀ of bf16, with the tile registers of AMX: weights are the left operand, in place. Called as
 * the kernels of attend/attend.ts.
 */
export const productsAmx: Kernel<typeof productsJob> = defineKernel(
  { name: 'products_amx', features: rowsAmxFeatures, job: productsJob, args: ['base'] },
  (k, { base, ...job }) => emitProductsAmx(k, job, base),
);

/** What the kernel does; `k` may be one that does the work of tiles in another way. */
export function emitProductsAmx(k: KernelBuilder, job: ProductsInputs, memory: Gpr64): void {
  const base = k.stack(8, 8);
  k.mov(base, memory);
  k.free(memory);
  k.configureTiles();
  const p = { k, job, base };
  k.cmp(job.pack, 0);
  k.if(k.flags('ne'), () => emitPackRows(p));
  emitTileProducts(p);
}
