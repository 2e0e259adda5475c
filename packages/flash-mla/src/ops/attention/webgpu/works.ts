import type { AttentionConfig } from './config.ts';
import type { Work } from './work.ts';
import { denseAttentionWork } from './work-dense-attention.ts';
import { denseDecodeWork } from './work-dense-decode.ts';
import { sparseDecodeWork } from './work-sparse-decode.ts';
import { sparsePrefillWork } from './work-sparse-prefill.ts';

/** The work of a kernel's operation. */
export function workOf(config: AttentionConfig): Work {
  switch (config.work) {
    case 'dense-decode':
      return denseDecodeWork(config);
    case 'sparse-decode':
      return sparseDecodeWork(config);
    case 'sparse-prefill':
      return sparsePrefillWork(config);
    case 'dense-attention':
      return denseAttentionWork(config);
  }
}
