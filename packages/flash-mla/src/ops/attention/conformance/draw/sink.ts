import type { HostTensor } from '@flash-mla/core';
import { choice } from '../../../conformance/property/parameters.ts';
import type { Random } from '../../../conformance/suite/random.ts';

/** Attention sinks: none, of the size of lse, both infinities among them, or far from every lse. */
export const sinkKind = choice('none', 'none', 'finite', 'infinite', 'far');

/** f32 (hQ), or undefined for `none`. */
export function drawSink(
  kind: 'none' | 'finite' | 'infinite' | 'far',
  hQ: number,
  random: Random,
): HostTensor<'f32'> | undefined {
  if (kind === 'none') return undefined;
  const { POSITIVE_INFINITY, NEGATIVE_INFINITY } = Number;
  const data = Float32Array.from({ length: hQ }, () => {
    const usual = 4 + 2 * random.normal();
    if (kind === 'infinite') return random.pick([POSITIVE_INFINITY, NEGATIVE_INFINITY, usual]);
    if (kind === 'far') return random.pick([1e30, -1e30, 3e38, -3e38, 100, -100, 0]);
    return usual;
  });
  return { dtype: 'f32', shape: [hQ], data };
}
