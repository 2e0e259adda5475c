import type { InspectLine, OperationBench } from '../bench/operation.ts';
import type { ProblemKind } from './problem-kind.ts';
import type { PropertyOperation } from './property/operation.ts';
import type { ConformanceCase } from './suite/conformance-case.ts';
import type { Exclusion } from './suite/exclusion.ts';

/** The tools of one family of operations. */
export interface OperationTools {
  /** In the order of reports. */
  readonly cases: readonly ConformanceCase[];
  /** Kinds of problems that are known by the name of their operation. */
  readonly problems?: readonly ProblemKind[];
  /** What `flash-mla selftest --fuzz` draws. */
  readonly drawn?: readonly PropertyOperation[];
  /** Cases that a kind of device does not pass, or passes under other bounds. */
  readonly exclusions?: readonly Exclusion[];
  /** For `flash-mla bench` and `flash-mla inspect`. */
  readonly benches: readonly OperationBench[];
  /** What `flash-mla inspect` shows besides. */
  readonly inspects?: readonly InspectLine[];
}
