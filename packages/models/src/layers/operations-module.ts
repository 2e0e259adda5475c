import type { Operations, WeightStore } from './operations.ts';

/** Operations that a module has made, and what they hold. */
export interface ModuleOperations<Matrix = unknown> {
  readonly operations: Operations<Matrix> & WeightStore<Matrix>;
  /** Gives up what the operations hold, such as a device. */
  readonly dispose: () => Promise<void>;
}

/** A module that makes operations: a model in a thread of its own gets a name, since objects stay behind. */
export interface OperationsModule {
  createOperations(options: unknown): Promise<ModuleOperations>;
}
