import type { LatentWrite } from '@flash-mla/models';
import { appendKvCache } from '../ops/kv-cache/index.ts';
import { appendLatents } from '../ops/latent/index.ts';
import { rmsNorm } from '../ops/norm/index.ts';
import { applyRope } from '../ops/rope/index.ts';
import type { Tensor } from '../runtime/tensor/tensor.ts';
import { isPacked, pagedCache } from './cache-rows.ts';
import type { DeviceMatrix } from './device-operations.ts';
import type { DeviceHotCache } from './hot-cache.ts';
import { type StepTensors, slotIn } from './step-tensors.ts';

/**
 * Norms latents, rotates keys, writes both to the cache (with HiSparse to the host's as well), and rotates
 * queries: in one launch where the device has a kernel for all of it.
 *
 * @returns (rows, heads, latent + rope), bf16: queries in the space of the cache's rows, of which the rotated
 *   part is there.
 */
export function writeLatents(
  step: StepTensors,
  { cache, latents, norm, queries, rotation, sequences, config }: LatentWrite<DeviceMatrix>,
  pageSize: number,
  hot: DeviceHotCache | undefined,
): DeviceMatrix {
  const { numHeads, kvLoraRank, nopeDim, ropeDim, latentNormEps: eps } = config;
  const { 0: rows = 0, 1: columns = 0 } = latents.shape;
  const headDim = nopeDim + ropeDim;
  const { 0: stride = 0 } = queries.strides;
  const own = queries.asStrided([rows, numHeads, ropeDim], [stride, headDim, 1], nopeDim);
  const all = step.empty([rows, numHeads, columns], 'bf16');
  const rotatedQueries = all.slice(2, kvLoraRank, columns);
  const { cos, sin, pairs } = step.rotation(rotation);
  const slots = step.slots(sequences, ({ pages, hotRow }, position) =>
    hotRow === undefined
      ? slotIn(pages, position, pageSize)
      : (hot?.deviceRowOf(hotRow, position) ?? -1),
  );
  const paged = pagedCache(cache, pageSize);
  const weight = norm.reshape([kvLoraRank]);
  const { backend } = step.device.info;
  if (!isPacked(paged) && (backend === 'cuda' || backend === 'sim')) {
    const angles = { cos, sin, pairs };
    const kCache = paged as Tensor<'bf16'>;
    appendLatents({
      ...{ latents, weight, eps, ...angles, queries: own, rotatedQueries, kCache, slots },
    });
    hot?.keepNewest(cache, slots, sequences);
    return all;
  }
  applyRope({ x: own, out: rotatedQueries, cos, sin, pairs });
  const made = step.empty([rows, columns], 'bf16');
  const out = made.slice(1, 0, kvLoraRank);
  rmsNorm({ x: latents.slice(1, 0, kvLoraRank), weight, eps, dtype: 'bf16', out });
  const keys = (of: DeviceMatrix) =>
    of.asStrided([rows, 1, ropeDim], [of.strides[0] ?? 0, ropeDim, 1], kvLoraRank);
  applyRope({ x: keys(latents), out: keys(made), cos, sin, pairs });
  appendKvCache({ kCache: paged, rows: made, slots });
  hot?.keepNewest(cache, slots, sequences);
  return all;
}
