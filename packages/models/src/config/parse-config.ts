import { UnsupportedModelError } from '../errors.ts';
import { familyOf, modelTypes } from '../families/index.ts';
import { JsonFields } from './json-fields.ts';
import type { ModelConfig } from './model-config.ts';

/**
 * Reads the text of a config.json. Throws {@link UnsupportedModelError} for a `model_type` of no family,
 * naming those there are, and ModelConfigError for a field that is malformed or asks for what is not
 * computed. `file`: what messages call it.
 */
export function parseConfig(text: string, file = 'config.json'): ModelConfig {
  const fields = JsonFields.parse(text, file);
  const modelType = fields.string('model_type');
  const family = familyOf(modelType);
  if (family === undefined) throw new UnsupportedModelError(file, modelType, modelTypes());
  return family.config(fields);
}
