import type { HiSparseOptions, ModelRunner } from '@flash-mla/engine';
import {
  findModel,
  hiSparseFor,
  loadRunner as loadModelRunner,
  type ModuleOperations,
  type OperationsModule,
  PlainOperations,
  readConfig,
} from '@flash-mla/models';

export interface LoadedRunner {
  readonly runner: ModelRunner;
  readonly pageSize: number;
  readonly totalPages: number;
  readonly hisparse: HiSparseOptions | undefined;
  /** Gives up the device. The runner must be idle. */
  dispose(): Promise<void>;
}

/** Where the operations of a model come from. */
export interface OperationsSource {
  /** The address of a module with a `createOperations`, as `import()` takes it. */
  readonly module: string;
  /** For `createOperations`; copied to the engine's thread. */
  readonly options?: unknown;
}

/** What a runner has to have room for. */
export interface RunnerSizes {
  readonly maxModelLength: number;
  /** What the KV cache holds, of all sequences together: with HiSparse, on the device. */
  readonly maxTokens: number;
  readonly maxRunning: number;
  /** As {@link CreateEngineOptions.hisparse}. */
  readonly hisparse?: boolean | string;
}

/**
 * Loads the weights of a checkpoint and makes what runs them.
 *
 * @param source default: float32 in TypeScript, on the thread that calls it
 */
export async function loadRunner(
  pathOrPackage: string,
  sizes: RunnerSizes,
  source?: OperationsSource,
): Promise<LoadedRunner> {
  if (source === undefined) {
    const plain = { operations: new PlainOperations(), dispose: async () => {} };
    return loadOn(plain, pathOrPackage, sizes);
  }
  const { createOperations } = (await import(source.module)) as OperationsModule;
  return loadOn(await createOperations(source.options), pathOrPackage, sizes);
}

async function loadOn<Matrix>(
  { operations, dispose }: ModuleOperations<Matrix>,
  pathOrPackage: string,
  { maxModelLength, maxTokens, maxRunning, hisparse: wanted }: RunnerSizes,
): Promise<LoadedRunner> {
  try {
    const files = await findModel(pathOrPackage);
    const config = await readConfig(files);
    const { pageSize } = operations;
    // One more: page 0 belongs to nobody.
    const totalPages = Math.ceil(maxTokens / pageSize) + 1;
    const hisparse = hiSparseFor(config, operations, wanted, totalPages);
    const sizes = { maxModelLength, totalPages, maxRunning, ...(hisparse && { hisparse }) };
    const { runner } = await loadModelRunner(operations, files, config, sizes);
    return { runner, pageSize, totalPages, hisparse, dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}
