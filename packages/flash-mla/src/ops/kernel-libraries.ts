import { familiesOf, type KernelLibrary, loadAll } from '../runtime/device/kernel-library.ts';
import { activationKernels } from './activation/kernels.ts';
import { attentionKernels } from './attention/kernels.ts';
import { embeddingKernels } from './embedding/kernels.ts';
import { gemmKernels } from './gemm/kernels.ts';
import { indexerKernels } from './indexer/kernels.ts';
import { kvCacheKernels } from './kv-cache/kernels.ts';
import { latentKernels } from './latent/kernels.ts';
import { moeKernels } from './moe/kernels.ts';
import { normKernels } from './norm/kernels.ts';
import { ropeKernels } from './rope/kernels.ts';
import { samplingKernels } from './sampling/kernels.ts';
import { swapInKernels } from './swap-in/kernels.ts';

/** The kernels of each family of operations. */
const families: readonly KernelLibrary[] = [
  attentionKernels,
  kvCacheKernels,
  normKernels,
  gemmKernels,
  ropeKernels,
  latentKernels,
  activationKernels,
  embeddingKernels,
  moeKernels,
  samplingKernels,
  swapInKernels,
  indexerKernels,
];

/** The kernels of this library's own operations. Each list is imported when a device needs it. */
export const flashMlaKernels = {
  name: 'flash-mla',
  cuda: familiesOf(families).map((family) => ({ ...family, isBuiltIn: true })),
  webgpu: () => loadAll(families.map(({ webgpu }) => webgpu)),
  cpu: () => loadAll(families.map(({ cpu }) => cpu)),
} satisfies KernelLibrary;
