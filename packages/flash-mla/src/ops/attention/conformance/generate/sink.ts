import type { HostTensor } from '@flash-mla/core';
import type { Random } from '../../../conformance/suite/random.ts';

/** f32 (hQ): logits of the size that lse has, with both infinities where `infinite`. */
export function drawSink(
  kind: 'finite' | 'infinite',
  hQ: number,
  random: Random,
): HostTensor<'f32'> {
  const data = Float32Array.from({ length: hQ }, (_, h) => {
    if (kind === 'infinite' && h % 3 === 1) return Number.POSITIVE_INFINITY;
    if (kind === 'infinite' && h % 3 === 2) return Number.NEGATIVE_INFINITY;
    return 4 + 2 * random.normal();
  });
  return { dtype: 'f32', shape: [hQ], data };
}
