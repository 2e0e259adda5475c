import type { Body } from '../builder/body.ts';
import { arg, type Operand } from '../builder/operand.ts';
import type { Pointer } from '../builder/pointer.ts';
import type { TensorMap } from '../builder/tensor-map.ts';
import type { Value } from '../builder/value.ts';
import { instruction } from '../ir/instruction.ts';
import type { Arg } from '../ir/program.ts';
import type { MemType } from '../ir/types.ts';
import type { TensorElement } from '../layout/tensor-map.ts';
import type { BulkCopy } from '../sim/machine.ts';
import { type BulkLoadOptions, cacheHint, maskArg, multicastHint, policyArg } from './bulk_copy.ts';
import type { MemoryBarrier } from './mbarrier.ts';
import { baseArg, bracket } from './place.ts';

const hopper = () => ({ sm: 90, ptx: 80 });

interface Box {
  readonly rank: number;
  readonly policy: boolean;
}

const checkRank = ({ rank }: Box) =>
  rank >= 1 && rank <= 5 ? undefined : `a box has 1 to 5 coordinates, not ${rank}`;

/** A map's address and the coordinates in brackets. */
const boxText = (map: string, coordinates: readonly string[]): string =>
  `[${map}, {${coordinates.join(', ')}}]`;

/** A box from global to shared memory, of this CTA or several of the cluster. */
export const tensorLoad = instruction<
  Box & { readonly to: number; readonly bar: number; readonly multicast: boolean }
>({
  name: 'cp.async.bulk.tensor',
  kind: 'async copy',
  requires: hopper,
  check: checkRank,
  ptx: ({ rank, to, bar, multicast, policy }, _, [dst, map, barrier, ...rest]) =>
    `cp.async.bulk.tensor.${rank}d.shared::cluster.global.mbarrier::complete_tx::bytes${multicastHint(multicast)}${cacheHint(policy)} ${[bracket(dst, to), boxText(map, rest.slice(0, rank)), bracket(barrier, bar), ...rest.slice(rank)].join(', ')}`,
  warp: ({ rank, to, bar, multicast }, site) => {
    const { s } = site;
    const copy: BulkCopy = {
      site,
      what: 'the tensor load',
      to: { space: 'shared', register: s[0], offset: to },
      from: { space: 'global', register: -1, offset: 0 },
      box: { map: s[1], coordinates: s.slice(3, 3 + rank) },
      bytes: -1,
      barrier: { register: s[2], offset: bar },
      multicast: multicast ? s[3 + rank] : -1,
      add: undefined,
    };
    return (w, mask) => w.bulk.start(w, copy, mask);
  },
});

/** A box from shared to global memory. */
export const tensorStore = instruction<Box & { readonly from: number }>({
  name: 'cp.async.bulk.tensor',
  kind: 'async copy',
  requires: hopper,
  check: checkRank,
  ptx: ({ rank, from, policy }, _, [map, src, ...rest]) =>
    `cp.async.bulk.tensor.${rank}d.global.shared::cta.bulk_group${cacheHint(policy)} ${[boxText(map, rest.slice(0, rank)), bracket(src, from), ...rest.slice(rank)].join(', ')}`,
  warp: ({ rank, from }, site) => {
    const { s } = site;
    const copy: BulkCopy = {
      site,
      what: 'the tensor store',
      to: { space: 'global', register: -1, offset: 0 },
      from: { space: 'shared', register: s[1], offset: from },
      box: { map: s[0], coordinates: s.slice(2, 2 + rank) },
      bytes: -1,
      barrier: undefined,
      multicast: -1,
      add: undefined,
    };
    return (w, mask) => w.bulk.start(w, copy, mask);
  },
});

/** Asks the second-level cache to fetch a box. */
export const tensorPrefetch = instruction<Box>({
  name: 'cp.async.bulk.prefetch.tensor',
  kind: 'async copy',
  requires: hopper,
  check: checkRank,
  ptx: ({ rank, policy }, _, [map, ...rest]) =>
    `cp.async.bulk.prefetch.tensor.${rank}d.L2.global.tile${cacheHint(policy)} ${[boxText(map, rest.slice(0, rank)), ...rest.slice(rank)].join(', ')}`,
  lane: () => '',
});

/** Fetches a tensor map ahead of its first use. */
export const prefetchTensorMap = instruction({
  name: 'prefetch.tensormap',
  kind: 'load',
  requires: hopper,
  ptx: (_, __, [map]) => `prefetch.tensormap [${map}]`,
  lane: () => '',
});

/**
 * Where a box starts, innermost dimension first: there a multiple of 16 bytes. It may lie outside of
 * the tensor; below 0 only where it is loaded. A GPU faults otherwise (illegal instruction).
 */
export type Coordinates = readonly Operand<'s32' | 'u32'>[];

/** Tensor copies of sm_90: one thread moves a box of a tensor that a tensor map describes. */
export const tensorCopyOps = (body: Body) => {
  const coordinateArgs = (coordinates: Coordinates): Arg[] =>
    coordinates.map((c) => arg('s32', c as Operand<'s32'>));
  return {
    /**
     * Starts copying the box at `coordinates` to shared memory, swizzled as the map says (see
     * `SharedArray.tile`). The barrier counts the bytes of the whole box; what lies outside of the
     * tensor becomes zero. The destination is aligned to 128 bytes.
     */
    tensorLoad<E extends TensorElement>(
      to: Pointer<'shared', MemType>,
      map: TensorMap<E>,
      coordinates: Coordinates,
      bar: MemoryBarrier,
      { multicast, l2Policy }: BulkLoadOptions = {},
    ): void {
      const op = tensorLoad({
        rank: coordinates.length,
        to: to.offset,
        bar: bar.offset,
        multicast: multicast !== undefined,
        policy: l2Policy !== undefined,
      });
      body.run(op, [
        baseArg(to),
        arg('u64', map.address),
        baseArg(bar),
        ...coordinateArgs(coordinates),
        ...maskArg(body, multicast),
        ...policyArg(l2Policy),
      ]);
    },
    /**
     * Starts copying from shared memory to the box at `coordinates`; elements outside of the tensor
     * are dropped. Groups and waits as for `bulkStore`.
     */
    tensorStore<E extends TensorElement>(
      map: TensorMap<E>,
      coordinates: Coordinates,
      from: Pointer<'shared', MemType>,
      options: { readonly l2Policy?: Value<'b64'> | undefined } = {},
    ): void {
      const policy = options.l2Policy !== undefined;
      const op = tensorStore({ rank: coordinates.length, from: from.offset, policy });
      body.run(op, [
        arg('u64', map.address),
        baseArg(from),
        ...coordinateArgs(coordinates),
        ...policyArg(options.l2Policy),
      ]);
    },
    /** Asks the second-level cache to fetch the box at `coordinates`. */
    tensorPrefetch(
      map: TensorMap<TensorElement>,
      coordinates: Coordinates,
      options: { readonly l2Policy?: Value<'b64'> | undefined } = {},
    ): void {
      const policy = options.l2Policy !== undefined;
      const op = tensorPrefetch({ rank: coordinates.length, policy });
      const inputs = [arg('u64', map.address), ...coordinateArgs(coordinates)];
      body.run(op, [...inputs, ...policyArg(options.l2Policy)]);
    },
    /** Fetches the map itself ahead of its first use. */
    prefetchTensorMap(map: TensorMap<TensorElement>): void {
      body.run(prefetchTensorMap({}), [arg('u64', map.address)]);
    },
  };
};
