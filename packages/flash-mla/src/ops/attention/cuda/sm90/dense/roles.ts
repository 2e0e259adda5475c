import type { Ops, Value } from '@flash-mla/ptx';
import type { Element } from '../../../../kernel-lib/cuda/element.ts';
import { lookForMissing, type MissingShared } from './missing-pages.ts';
import { publishTarget, type TargetShared } from './target.ts';
import type { QuerySource, Work } from './work.ts';

/** What the warp groups of a CTA do, and with how many registers a thread. */
export interface Roles {
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
export function takeRoles(k: Ops, group: Value<'u32'>, roles: Roles): void {
  k.if(
    group.eq(0),
    () => {
      k.setMaxRegisters(roles.producerRegisters, 'decrease');
      k.if(k.threadIdx.x.lt(32), roles.fetchKeys, roles.fetchQueries, { uniform: true });
    },
    () => {
      k.setMaxRegisters(roles.consumerRegisters, 'increase');
      roles.consume();
    },
    { uniform: true },
  );
}

/**
 * Fetches the queries of all pieces, each when there is room, and says where their results go. `fetch`
 * calls `meanwhile` between them, before it says that the queries are there.
 */
export function fetchAllQueries<S extends Element | 'e4m3'>(
  k: Ops,
  shared: TargetShared & MissingShared,
  work: Work<S>,
  fetch: (source: QuerySource<S>, parity: Value<'u32'>, meanwhile: () => void) => void,
): void {
  const parity = k.var('u32', 1);
  work.forEachPiece((piece) => {
    const tell = lookForMissing(k, shared, work.keysOf(piece), () => work.lengthOf(piece));
    fetch(work.queryOf(piece), parity, tell);
    k.if(k.threadIdx.x.eq(32), () => publishTarget(k, shared, piece, parity.xor(1)));
    parity.set(parity.xor(1));
  });
}
