import type { JsonFields } from '../config/json-fields.ts';
import type { ModelConfig } from '../config/model-config.ts';

/** A model family: one file that says how its config.json is to be read. */
export interface Family {
  /** `model_type` of its config.json. */
  readonly modelType: string;
  /** Other values of `model_type` that mean the same computation. */
  readonly aliases: readonly string[];
  /** Released models, for people. */
  readonly models: string;
  /** Throws ModelConfigError for what is malformed and for what this package does not compute. */
  config(fields: JsonFields): ModelConfig;
}
