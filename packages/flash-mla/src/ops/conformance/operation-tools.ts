import type { InspectLine, OperationBench } from '../bench/operation.ts';
import type { ConformanceCase } from './suite/conformance-case.ts';

/** The tools of one family of operations. */
export interface OperationTools {
  /** Absent: they are in `ops/conformance`. */
  readonly cases?: readonly ConformanceCase[];
  /** For `flash-mla bench` and `flash-mla inspect`. */
  readonly benches: readonly OperationBench[];
  /** What `flash-mla inspect` shows besides. */
  readonly inspects?: readonly InspectLine[];
}
