import { readFileSync } from 'node:fs';
import { Engine, type EngineOptions, type HiSparseOptions } from '@flash-mla/engine';
import {
  Decoder,
  DecoderRunner,
  loadWeights,
  type ModelFiles,
  type ModelWeights,
  matricesOf,
  matricesOfCache,
  parseConfig,
} from '@flash-mla/models';
import { dataPath, tinyConfig } from '../../../../models/src/testing/data.ts';
import { checkpointFiles } from '../../../../models/src/testing/memory-files.ts';
import { tinyTensors } from '../../../../models/src/testing/tiny-weights.ts';
import type { Device } from '../../runtime/device/device.ts';
import type { ModelCacheDType } from '../cache-dtype.ts';
import { type DeviceMatrix, DeviceOperations } from '../device-operations.ts';

/** Tiny models with an indexer. The second layer of the third one shares the choice of the first. */
export const indexedModels = ['deepseek-v32', 'glm-moe-dsa', 'glm-moe-dsa, shared'] as const;
export type IndexedModel = (typeof indexedModels)[number];

/** Its configuration as config.json has it, and its files. */
export async function indexedFiles(model: IndexedModel): Promise<ModelFiles> {
  const isShared = model.endsWith('shared');
  const name = isShared ? 'glm-moe-dsa' : model;
  const text = isShared
    ? JSON.stringify({
        ...JSON.parse(tinyConfig('glm-moe-dsa')),
        indexer_types: ['full', 'shared', 'full'],
      })
    : tinyConfig(name as 'glm-moe-dsa');
  const list = JSON.parse(readFileSync(dataPath(`tiny/${name}/tensors.json`), 'utf8'));
  const own = Object.entries(list).filter(
    ([tensor]) => !isShared || !tensor.includes('layers.1.self_attn.indexer'),
  );
  return checkpointFiles(text, tinyTensors(Object.fromEntries(own) as typeof list), 1);
}

/** The sizes of an engine that a runner has to have room for. */
export type EngineSizes = Required<
  Pick<EngineOptions, 'totalPages' | 'maxModelLength' | 'maxRunning'>
> & { readonly hisparse?: HiSparseOptions | undefined };

/** A tiny model whose weights are loaded once, for many engines. */
export class LoadedModel {
  readonly #ops: DeviceOperations;
  readonly #weights: ModelWeights<DeviceMatrix>;
  readonly #config: ReturnType<typeof parseConfig>;

  private constructor(
    ops: DeviceOperations,
    config: ReturnType<typeof parseConfig>,
    weights: ModelWeights<DeviceMatrix>,
  ) {
    this.#ops = ops;
    this.#config = config;
    this.#weights = weights;
  }

  static async load(
    device: Device,
    model: IndexedModel,
    kvCacheDType: ModelCacheDType,
  ): Promise<LoadedModel> {
    const ops = new DeviceOperations(device, { kvCacheDType });
    const files = await indexedFiles(model);
    const config = parseConfig((await files.text('config.json')) ?? '');
    return new LoadedModel(ops, config, await loadWeights(files, config, ops));
  }

  /** An engine with a cache of its own. */
  open({ hisparse, ...sizes }: EngineSizes): { engine: Engine; release(): void } {
    const { maxModelLength, maxRunning, totalPages } = sizes;
    const ops = this.#ops;
    const decoder = new Decoder(this.#config, ops, this.#weights, maxModelLength);
    const numHostPages = Math.floor(totalPages * (hisparse?.hostToDeviceRatio ?? 1));
    const cache = decoder.createCache(totalPages, numHostPages);
    const hot =
      hisparse &&
      ops.createHotCache?.(cache, {
        ...{ hisparse, maxRunning, maxModelLength, numHostPages, numDevicePages: totalPages },
      });
    const own = ops.createRunner?.(decoder, cache, hot);
    const runner = own ?? new DecoderRunner(decoder, cache, hot);
    const engine = new Engine(runner, {
      ...{ ...sizes, pageSize: ops.pageSize, overlap: own !== undefined },
      ...(hisparse && { hisparse }),
    });
    const release = () => {
      own?.[Symbol.dispose]();
      hot?.[Symbol.dispose]();
      for (const matrix of matricesOfCache(cache)) ops.release(matrix);
    };
    return { engine, release };
  }

  [Symbol.dispose](): void {
    for (const matrix of matricesOf(this.#weights)) this.#ops.release(matrix);
  }
}
