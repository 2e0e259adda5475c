import { type Problem, ProblemError } from '@flash-mla/core';

export type { Problem };

/** The base of every error that this package throws on purpose. */
export class ModelError extends ProblemError {
  override readonly name: string = 'ModelError';
}

/** A name or path leads to no model. */
export class ModelNotFoundError extends ModelError {
  override readonly name = 'ModelNotFoundError';
}

/** config.json or generation_config.json is malformed, or describes what this package does not compute. */
export class ModelConfigError extends ModelError {
  override readonly name = 'ModelConfigError';
}

/** A checkpoint's `model_type` is none of the families that this package has. */
export class UnsupportedModelError extends ModelError {
  override readonly name = 'UnsupportedModelError';
  /** The `model_type` that was found. */
  readonly modelType: string;
  /** Those that there are. */
  readonly families: readonly string[];
  constructor(file: string, modelType: string, families: readonly string[]) {
    super({
      subject: `${file}: model_type`,
      expected: `one of ${families.join(', ')}`,
      actual: shown(modelType),
      remedy: 'Use a model of one of these families.',
    });
    this.modelType = modelType;
    this.families = families;
  }
}

/** The tensors of a checkpoint are not those that its config.json calls for. */
export class CheckpointError extends ModelError {
  override readonly name = 'CheckpointError';
}

/** tokenizer.json, tokenizer_config.json or a chat template cannot be used. */
export class TokenizerError extends ModelError {
  override readonly name = 'TokenizerError';
}

/** An option of a call is impossible. Thrown before anything is computed. */
export class ModelOptionError extends ModelError {
  override readonly name = 'ModelOptionError';
}

/** A short form of any value for a message. Never throws and never runs code of the value. */
export function shown(value: unknown): string {
  if (typeof value === 'string') {
    const short = value.length > 60 ? `${value.slice(0, 60)}…` : value;
    return JSON.stringify(short);
  }
  if (value === undefined) return 'nothing';
  if (typeof value === 'number' || typeof value === 'boolean' || value === null)
    return String(value);
  if (Array.isArray(value)) return `a list of ${value.length}`;
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

/** The message of whatever was thrown, short enough to be part of another one. */
export function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}
