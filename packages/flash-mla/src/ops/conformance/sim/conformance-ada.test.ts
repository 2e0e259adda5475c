import { itPassesTheQuickSuite } from '../testing/quick-suite.ts';

/** Operations whose tiles depend on how much shared memory there is. */
const withSmallerTiles = new Set([
  'dense-decode',
  'sparse-decode',
  'sparse-prefill',
  'varlen-attention',
  'linear',
  'batched-linear',
  'expert-mlp',
]);

// Ada runs Ampere's kernels with less shared memory: a part of the cases shows that their tiles fit. All other
// operations launch the same kernels with the same configuration as on Ampere, which runs every case.
itPassesTheQuickSuite('sim:1', (operation) => (withSmallerTiles.has(operation) ? 4 : 0));
