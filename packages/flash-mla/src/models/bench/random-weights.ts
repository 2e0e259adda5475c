import {
  type ModelConfig,
  type ModelWeights,
  mapWeights,
  matricesOf,
  planWeights,
  type TensorSource,
  type WeightPart,
} from '@flash-mla/models';
import { normals, uniform } from '../../ops/bench/random.ts';
import type { Device } from '../../runtime/device/device.ts';
import type { Tensor } from '../../runtime/tensor/tensor.ts';
import type { DeviceMatrix } from '../device-operations.ts';

/** Numbers that the host draws; matrices are made of them on the device. */
const drawn = 2 ** 22;
/** Of weights: rows that are normed keep results of the order of 1 in a hidden state of thousands. */
const deviation = 0.02;

/**
 * Weights of a model's shapes: normals in bf16, gains of 1, router biases of 0. The host draws a few million
 * numbers, and copies on the device repeat them from another place in each matrix. Throws OutOfMemoryError;
 * what was allocated is freed then.
 */
export class RandomWeights implements Disposable {
  readonly weights: ModelWeights<DeviceMatrix>;
  readonly #source: Tensor<'bf16'>;
  readonly #owned: DeviceMatrix[] = [];
  #next = 0;

  constructor(device: Device, config: ModelConfig) {
    const values = normals(drawn, uniform(1)).map((value) => value * deviation);
    this.#source = device.tensor(values, [drawn], 'bf16');
    try {
      const plan = planWeights(config, shapesOnly);
      this.weights = mapWeights(plan, (parts) => this.#make(device, parts));
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  /** Overwrites a matrix of bf16, such as a cache. */
  fill(matrix: DeviceMatrix): void {
    const { device, size } = matrix;
    for (let done = 0; done < size; ) {
      const from = this.#next % drawn;
      const count = Math.min(size - done, drawn - from);
      const ranges = [{ sourceOffset: 2 * from, targetOffset: 2 * done, byteLength: 2 * count }];
      (device as Device).copy(this.#source, matrix, { ranges });
      done += count;
      this.#next += count;
    }
    // Neighbours do not begin at the same place.
    this.#next += 8 * 1021;
  }

  /** All matrices. */
  get matrices(): readonly DeviceMatrix[] {
    return matricesOf(this.weights);
  }

  [Symbol.dispose](): void {
    this.#source.dispose();
    for (const matrix of this.#owned) matrix.dispose();
  }

  #make(device: Device, parts: readonly WeightPart[]): DeviceMatrix {
    const [first] = parts;
    const columns = first?.columns ?? 0;
    const rows = parts.reduce((sum, part) => sum + part.rows, 0);
    if (rows === 1) {
      const isGain = first === undefined || !biases.has(first);
      const vector = device.tensor(
        new Float32Array(columns).fill(isGain ? 1 : 0),
        [1, columns],
        'f32',
      );
      this.#owned.push(vector);
      return vector;
    }
    const matrix = device.empty([rows, columns], 'bf16');
    this.#owned.push(matrix);
    this.fill(matrix);
    return matrix;
  }
}

const biases = new WeakSet<WeightPart>();

function part(rows: number, columns: number): WeightPart {
  return {
    rows,
    columns,
    readRows: () => Promise.reject(new Error('random weights are made on the device')),
  };
}

/** Takes the place of a checkpoint that has whatever is asked for. */
const shapesOnly: TensorSource = {
  has: () => false,
  vector(name, length) {
    const vector = part(1, length);
    if (name.endsWith('bias')) biases.add(vector);
    return vector;
  },
  plainMatrix: (_name, rows, columns) => part(rows, columns),
  matrix: (_name, rows, columns) => part(rows, columns),
  slice: (_name, _index, _count, rows, columns) => part(rows, columns),
  finish: () => {},
};
