import { type DType, FileFormatError, type HostTensor } from '@flash-mla/core';
import type { SafetensorsFile } from '@flash-mla/safetensors';

/** A dimension: its extent, or a name that stands for the same extent wherever it occurs. */
export type Dimension = string | number;

/**
 * Reads the tensors of a case file and checks that their shapes fit each other: dimensions are named,
 * and a name is bound by the first tensor that has it.
 */
export class CaseTensors {
  readonly #file: SafetensorsFile;
  readonly #extents = new Map<string, { readonly extent: number; readonly tensor: string }>();

  constructor(file: SafetensorsFile) {
    this.#file = file;
  }

  has(name: string): boolean {
    return this.#file.has(name);
  }

  /** What a dimension was bound to; it must have been. */
  extent(dimension: string): number {
    return this.#extents.get(dimension)?.extent as number;
  }

  /** Throws {@link FileFormatError} for another dtype, rank or extent; every extent is at least 1. */
  async read<D extends DType>(
    name: string,
    dtypes: readonly D[],
    dimensions: readonly Dimension[],
  ): Promise<HostTensor<D>> {
    const { shape } = this.#file.entries.get(name) ?? { shape: [] };
    if (this.#file.has(name) && shape.length !== dimensions.length) {
      this.#fail(name, `shape (${dimensions.join(', ')})`, `(${shape.join(', ')})`);
    }
    dimensions.forEach((dimension, i) => {
      if (this.#file.has(name)) this.#bind(name, i, dimension, shape[i] ?? 0);
    });
    const tensor = await this.#file.read(name);
    const dtype = dtypes.find((candidate) => candidate === tensor.dtype);
    if (dtype === undefined) this.#fail(`${name}.dtype`, dtypes.join(' or '), tensor.dtype);
    return tensor as HostTensor<D>;
  }

  /** {@link read}, or undefined where the file has no such tensor. */
  async find<D extends DType>(
    name: string,
    dtypes: readonly D[],
    dimensions: readonly Dimension[],
  ): Promise<HostTensor<D> | undefined> {
    return this.has(name) ? this.read(name, dtypes, dimensions) : undefined;
  }

  #bind(tensor: string, index: number, dimension: Dimension, extent: number): void {
    const field = `${tensor}.shape[${index}]`;
    if (extent === 0) this.#fail(field, `${dimension}, at least 1`, '0');
    if (typeof dimension === 'number') {
      if (extent !== dimension) this.#fail(field, `${dimension}`, `${extent}`);
      return;
    }
    const bound = this.#extents.get(dimension);
    if (bound === undefined) {
      this.#extents.set(dimension, { extent, tensor });
    } else if (bound.extent !== extent) {
      const expected = `${dimension} = ${bound.extent} as in ${bound.tensor}`;
      this.#fail(field, expected, `${extent}`);
    }
  }

  #fail(field: string, expected: string, actual: string): never {
    throw new FileFormatError(this.#file.name, field, expected, actual);
  }
}
