import { createHash } from 'node:crypto';
import { ApiError } from '../errors.ts';
import type { ServerContext } from '../http/context.ts';
import type { ServedModel } from '../model/served-model.ts';

/** @throws ApiError 404 for a model that is not served here */
export function checkModel({ engine, options }: ServerContext, name: string): void {
  if (name === engine.model.id || options.aliases.includes(name)) return;
  throw new ApiError(
    `There is no model ${JSON.stringify(name.slice(0, 200))} here. See /v1/models.`,
    {
      status: 404,
      type: 'not_found_error',
      code: 'model_not_found',
      param: 'model',
    },
  );
}

/** The models of the list at /v1/models: the one, under each of its names. */
export function modelList({ created, engine: { model }, options }: ServerContext) {
  const entry = (id: string) => ({
    id,
    object: 'model',
    created,
    owned_by: 'flash-mla',
    root: model.id,
    parent: null,
    max_model_len: model.maxModelLength,
  });
  return { object: 'list', data: [model.id, ...options.aliases].map(entry) };
}

/** Changes when answers to the same request may change. */
export function fingerprintOf({ id, maxModelLength, vocabularySize }: ServedModel): string {
  const what = JSON.stringify([id, maxModelLength, vocabularySize]);
  return `fp_${createHash('sha256').update(what).digest('hex').slice(0, 10)}`;
}
