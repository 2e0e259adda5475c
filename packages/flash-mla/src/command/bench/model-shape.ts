import type { ModelConfig } from '@flash-mla/models';
import { modelShapes } from '../../models/bench/shapes.ts';

/** Which model a benchmark makes. */
export interface ShapeFlags {
  /** A name that is known here, or a model's folder. */
  readonly shape: string;
  readonly layers?: number;
}

export const shapeNames = Object.keys(modelShapes);

/** The configuration of a shape, cut to some layers. Throws what reading a model's config.json throws. */
export async function shapeConfig({ shape, layers }: ShapeFlags): Promise<ModelConfig> {
  const { findModel, parseConfig, readConfig } = await import('@flash-mla/models');
  const known = Object.hasOwn(modelShapes, shape) ? modelShapes[shape] : undefined;
  if (known !== undefined) {
    const own = layers === undefined ? {} : { num_hidden_layers: layers };
    return parseConfig(JSON.stringify({ ...known, ...own }), shape);
  }
  const config = await readConfig(await findModel(shape));
  const numLayers = Math.min(layers ?? config.numLayers, config.numLayers);
  const { indexer } = config;
  return {
    ...config,
    ...{ numLayers, mlpKinds: config.mlpKinds.slice(0, numLayers) },
    ...(indexer && { indexer: { ...indexer, kinds: indexer.kinds.slice(0, numLayers) } }),
  };
}
