import type { QuantizationConfig } from '../config/model-config.ts';
import { CheckpointError, shown } from '../errors.ts';
import type { WeightPart } from '../layers/operations.ts';
import type { Shards } from './shards.ts';
import { applyBlockScales, checkScales, plainDTypes, toFloat32 } from './to-float32.ts';

/** More problems than these are not listed: the checkpoint is another model's. */
const maxProblems = 16;

/**
 * Gives the tensors of a checkpoint as parts of weights and keeps account: what is missing, has another
 * shape or dtype, or is left over. Nothing but headers is read until a part's rows are asked for.
 */
export class TensorParts {
  readonly #shards: Shards;
  readonly #quantization: QuantizationConfig | undefined;
  readonly #used = new Set<string>();
  readonly #problems: string[] = [];

  constructor(shards: Shards, quantization: QuantizationConfig | undefined) {
    this.#shards = shards;
    this.#quantization = quantization;
  }

  has(name: string): boolean {
    return this.#shards.tensors.has(name);
  }

  /** A vector, as a matrix of one row. */
  vector(name: string, length: number): WeightPart {
    return this.#plain(name, [length], 1, length);
  }

  /** A matrix of plain floats. */
  plainMatrix(name: string, rows: number, columns: number): WeightPart {
    return this.#plain(name, [rows, columns], rows, columns);
  }

  /** A matrix of plain floats, or of e4m3 with one scale a block. */
  matrix(name: string, rows: number, columns: number): WeightPart {
    const dtype = this.#shards.tensors.get(name)?.entry.dtype;
    if (dtype !== 'F8_E4M3') return this.plainMatrix(name, rows, columns);
    return this.#quantized(name, rows, columns);
  }

  /** One matrix of a stack (count, rows, columns). */
  slice(name: string, index: number, count: number, rows: number, columns: number): WeightPart {
    this.#check(name, [count, rows, columns], plainDTypes);
    const readRows = async (begin: number, end: number) => {
      const whole = toFloat32(await this.#tensor(name).file.readRows(name, index, index + 1));
      return whole.subarray(begin * columns, end * columns);
    };
    return { rows, columns, readRows };
  }

  /** Throws for everything that is wrong; `ignored` says which tensors may be left over. */
  finish(ignored: (name: string) => boolean): void {
    for (const name of this.#shards.tensors.keys()) {
      if (!this.#used.has(name) && !ignored(name)) this.#complain(`${shown(name)} is unexpected`);
    }
    this.#throwProblems();
  }

  #plain(name: string, shape: readonly number[], rows: number, columns: number): WeightPart {
    this.#check(name, shape, plainDTypes);
    const readRows = async (begin: number, end: number) => {
      const { file } = this.#tensor(name);
      return toFloat32(
        shape.length === 1 ? await file.read(name) : await file.readRows(name, begin, end),
      );
    };
    const dtype = this.#shards.tensors.get(name)?.entry.dtype;
    if (dtype !== 'BF16' || shape.length === 1) return { rows, columns, readRows };
    const readBf16 = async (begin: number, end: number) =>
      (await this.#tensor(name).file.readRows(name, begin, end, 'bf16')).data;
    return { rows, columns, readRows, readBf16 };
  }

  #quantized(name: string, rows: number, columns: number): WeightPart {
    const scaleName = `${name}_scale_inv`;
    const { blockRows, blockColumns } = this.#quantization ?? { blockRows: 0, blockColumns: 0 };
    if (blockRows === 0) {
      this.#complain(`${shown(name)} is F8_E4M3, but config.json has no quantization_config`);
      this.#used.add(name);
    } else {
      this.#check(name, [rows, columns], ['F8_E4M3']);
      const scales = [Math.ceil(rows / blockRows), Math.ceil(columns / blockColumns)];
      this.#check(scaleName, scales, ['F32', 'BF16']);
    }
    const readCodes = async (begin: number, end: number) =>
      (await this.#tensor(name).file.readRows(name, begin, end, 'e4m3')).data;
    // The scales may be in another file than the weight.
    const readScaleRows = async (from: number, to: number) => {
      const scales = await this.#tensor(scaleName).file.readRows(scaleName, from, to);
      return checkScales(scaleName, toFloat32(scales));
    };
    const readRows = async (begin: number, end: number) => {
      const data = await readCodes(begin, end);
      const from = Math.floor(begin / blockRows);
      const scales = await readScaleRows(from, Math.ceil(end / blockRows));
      const values = toFloat32({ dtype: 'e4m3', shape: [data.length], data });
      applyBlockScales(values, scales, { begin, columns, blockRows, blockColumns });
      return values;
    };
    const readScales = () => readScaleRows(0, Math.ceil(rows / blockRows));
    const quantized = { blockRows, blockColumns, readCodes, readScales };
    return { rows, columns, readRows, quantized };
  }

  #tensor(name: string) {
    const found = this.#shards.tensors.get(name);
    if (found === undefined) throw new Error(`${name} was not checked`);
    return found;
  }

  #check(name: string, shape: readonly number[], dtypes: readonly string[]): void {
    this.#used.add(name);
    const entry = this.#shards.tensors.get(name)?.entry;
    if (entry === undefined) this.#complain(`${shown(name)} is missing`);
    else if (entry.shape.join() !== shape.join()) {
      const actual = entry.shape.slice(0, 8).join(', ');
      this.#complain(`${shown(name)} has shape [${actual}] instead of [${shape.join(', ')}]`);
    } else if (!dtypes.includes(entry.dtype)) {
      this.#complain(`${shown(name)} is ${shown(entry.dtype)} instead of ${dtypes.join(' or ')}`);
    }
  }

  #complain(problem: string): void {
    this.#problems.push(problem);
    if (this.#problems.length === maxProblems) this.#throwProblems();
  }

  #throwProblems(): void {
    if (this.#problems.length === 0) return;
    const more = this.#problems.length === maxProblems ? '; perhaps more' : '';
    throw new CheckpointError({
      subject: 'checkpoint',
      expected: 'the tensors that config.json calls for',
      actual: this.#problems.join('; ') + more,
      remedy: 'Get config.json and the safetensors files from the same place.',
    });
  }
}
