import { callSpace } from '../../../conformance/property/operation.ts';
import { choice, flag } from '../../../conformance/property/parameters.ts';

/** How decoding is called. */
export const decodeSpace = {
  ...callSpace,
  metadata: choice('object', 'tensors'),
  deterministic: flag(0.3),
  /** Few queries and eight times the keys, so that requests are split in the deterministic mode too. */
  long: flag(0.1),
};
