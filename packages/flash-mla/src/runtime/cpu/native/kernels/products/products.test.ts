import { describe, expect, it } from 'vitest';
import { productsProblem } from '../../self-test/products-problem.ts';
import { emulatedProducts } from '../../testing/emulated-amx.ts';
import { abi, runBeforeGuard, runs } from '../../testing/machine.ts';
import { rowsAmxFeatures, rowsBf16Features } from '../features.ts';
import { productsAmx } from './products-amx.ts';

const kernels = [
  ['amx_bf16', productsAmx, rowsAmxFeatures],
  ['emulated tiles', emulatedProducts, rowsBf16Features],
] as const;

describe.each(kernels)('products of bf16 rows with %s', (_, kernel, needed) => {
  const shapes = [1, 15, 16, 33, 70].flatMap((rows) =>
    [16, 17, 32, 44, 64].map((columns) => ({ rows, columns, depth: columns === 16 ? 32 : 96 })),
  );

  it.skipIf(!runs(needed)).each(shapes)('$rows rows, $columns columns, depth $depth', (shape) => {
    const problem = productsProblem(kernel, shape);
    const result = runBeforeGuard(kernel.assemble(abi), problem);
    expect(problem.errorOf(result)).toBeLessThan(problem.tolerance);
  });

  it.skipIf(!runs(needed))('take panels that are there already', () => {
    const problem = productsProblem(kernel, { rows: 20, columns: 48, depth: 64 });
    const first = runBeforeGuard(kernel.assemble(abi), problem);
    const { offsets } = kernel.jobLayout;
    const [pack, x] = ['pack', 'x'].map((name) => offsets.get(name)?.offset ?? -1);
    const again = new DataView(first.buffer);
    again.setUint32(pack as number, 0, true);
    // Nothing is read from there.
    again.setUint32(x as number, 0xffff_0000, true);
    const second = runBeforeGuard(kernel.assemble(abi), {
      ...problem,
      memory: first as Uint8Array<ArrayBuffer>,
    });
    expect(problem.errorOf(second)).toBeLessThan(problem.tolerance);
  });
});
