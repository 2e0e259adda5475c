import { itPassesTheQuickSuite } from '../testing/quick-suite.ts';

/** Operations that have kernels, or tiles, of their own on Hopper. */
const ofHopper = new Set([
  'dense-decode',
  'sparse-decode',
  'sparse-prefill',
  'varlen-attention',
  'cache-attention',
  'linear',
  'batched-linear',
  'expert-mlp',
  'paged-mqa-logits',
  'mqa-logits',
]);

// All other operations launch what they launch on Ampere, which runs every case; what they do on Hopper beside
// that is to begin before the launch ahead of them ends.
itPassesTheQuickSuite('sim:2', (operation) => (ofHopper.has(operation) ? 1 : 3));
