import type { TextEngine } from '../generate/text-engine.ts';
import type { ResolvedServerOptions } from '../options.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Admission } from './admission.ts';

/** What every route works with. */
export interface ServerContext {
  readonly engine: TextEngine;
  readonly options: ResolvedServerOptions;
  readonly metrics: Metrics;
  readonly admission: Admission;
  /** When the model was loaded, in seconds since 1970. */
  readonly created: number;
}
