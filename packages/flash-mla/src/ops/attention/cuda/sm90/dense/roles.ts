import type { Ops, Value } from '@flash-mla/ptx';
import type { Element } from '../../../../kernel-lib/cuda/element.ts';
import { takeRoles, warpThreads } from '../../../../kernel-lib/cuda/sm90/roles.ts';
import { lookForMissing, type MissingShared } from './missing-pages.ts';
import { publishTarget, type TargetShared } from './target.ts';
import type { QuerySource, Work } from './work.ts';

/** Who does what in a decode kernel of the family, and with how many registers a thread. */
export interface DecodeRoles {
  readonly producerRegisters: number;
  readonly consumerRegisters: number;
  /** By the producer's first warp. */
  fetchKeys(): void;
  /** By its other three. */
  fetchQueries(): void;
  /** By two warp groups. */
  consume(): void;
}

/** Gives each warp its role; `group` is the number of its warp group. */
export function takeDecodeRoles(k: Ops, group: Value<'u32'>, roles: DecodeRoles): void {
  const { fetchKeys, fetchQueries } = roles;
  takeRoles(k, group, {
    ...roles,
    produce: () => k.if(k.threadIdx.x.lt(warpThreads), fetchKeys, fetchQueries, { uniform: true }),
  });
}

/**
 * Fetches the queries of all pieces, each when there is room, and says where their results go. `fetch`
 * calls `meanwhile` between them, before it says that the queries are there.
 */
export function fetchAllQueries<S extends Element | 'e4m3'>(
  k: Ops,
  shared: TargetShared & MissingShared,
  work: Work<S>,
  fetch: (source: QuerySource<S>, phase: Value<'u32'>, meanwhile: () => void) => void,
): void {
  const phase = k.var('u32', 1);
  work.forEachPiece((piece) => {
    const tell = lookForMissing(k, shared, work.keysOf(piece), () => work.lengthOf(piece));
    fetch(work.queryOf(piece), phase, tell);
    k.if(k.threadIdx.x.eq(32), () => publishTarget(k, shared, piece, phase.xor(1)));
    phase.set(phase.xor(1));
  });
}
