import { defineCudaKernel } from '../../../runtime/cuda/kernel.ts';
import { portableIndexRows } from './sm80_index_rows_launch.ts';
import { portableMqaLogits } from './sm80_mqa_logits_launch.ts';
import { portableTopK } from './sm80_top_k_launch.ts';

/** The indexer on every GPU from Ampere on. */
export const indexerCudaKernels = [
  defineCudaKernel(portableIndexRows),
  defineCudaKernel(portableMqaLogits),
  defineCudaKernel(portableTopK),
];
