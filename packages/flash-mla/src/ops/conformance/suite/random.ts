import { type DType, encodeElements, type StorageOf } from '@flash-mla/core';

/**
 * Deterministic random numbers: a counter run through a 32-bit mixer, so a stream depends on its name
 * alone, not on what was drawn elsewhere.
 */
export class Random {
  readonly #name: string;
  readonly #key: number;
  #counter = 0;

  constructor(name: string) {
    this.#name = name;
    this.#key = hash(name);
  }

  /** An independent stream. */
  stream(name: string): Random {
    return new Random(`${this.#name}/${name}`);
  }

  bits(): number {
    return mix(Math.imul(this.#counter++, 0x9e3779b1) ^ this.#key);
  }

  /** In [0, 1). */
  uniform(): number {
    return this.bits() / 2 ** 32;
  }

  /** From `low` to `high`, both included. */
  integer(low: number, high: number): number {
    return low + Math.floor(this.uniform() * (high - low + 1));
  }

  /** Standard normal. */
  normal(): number {
    return quantiles()[this.bits() >>> 16] as number;
  }

  chance(probability: number): boolean {
    return this.uniform() < probability;
  }

  pick<T>(choices: readonly T[]): T {
    return choices[this.integer(0, choices.length - 1)] as T;
  }

  /** Shuffles the first `count` places with what they take from anywhere in the array. */
  shuffle<T extends Int32Array | unknown[]>(values: T, count = values.length): T {
    for (let i = 0; i < count; i++) {
      const j = this.integer(i, values.length - 1);
      [values[i], values[j]] = [values[j] as never, values[i] as never];
    }
    return values;
  }

  /** Fills a stretch with normal values as a table of codes has them: two elements a draw. */
  fill<T extends Uint8Array | Uint16Array | Float32Array>(
    target: T,
    begin: number,
    count: number,
    codes: T,
  ): void {
    const end = begin + count;
    for (let i = begin; i < end; i += 2) {
      const draw = this.bits();
      target[i] = codes[draw & 0xffff] as number;
      if (i + 1 < end) target[i + 1] = codes[draw >>> 16] as number;
    }
  }
}

const tables = new Map<string, StorageOf<DType>>();

/** The 65,536 quantiles of N(0, deviation²), clamped to ±limit, as codes of a dtype. */
export function normalCodes<D extends 'f32' | 'f16' | 'bf16' | 'e4m3'>(
  dtype: D,
  deviation: number,
  limit = Number.POSITIVE_INFINITY,
): StorageOf<D> {
  const key = `${dtype} ${deviation} ${limit}`;
  let table = tables.get(key);
  if (table === undefined) {
    const clamp = (z: number) => Math.max(-limit, Math.min(limit, z * deviation));
    table = encodeElements(dtype, quantiles().map(clamp));
    tables.set(key, table);
  }
  return table as StorageOf<D>;
}

let quantileTable: Float64Array | undefined;

/** Quantiles of the standard normal at (i + ½) / 65536, by adding up its density. */
function quantiles(): Float64Array {
  if (quantileTable !== undefined) return quantileTable;
  const table = new Float64Array(65536);
  const step = 1e-4;
  const density = (z: number) => Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI);
  let [z, below, filled] = [-5, 0, 0];
  while (filled < table.length) {
    below += density(z + step / 2) * step;
    z += step;
    while (filled < table.length && (filled + 0.5) / 65536 <= below) table[filled++] = z;
    if (z > 5) table[filled++] = z;
  }
  quantileTable = table;
  return table;
}

/** Invertible, and each input bit flips each output bit about half the time ("lowbias32"). */
function mix(value: number): number {
  let x = value;
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d);
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b);
  return (x ^ (x >>> 16)) >>> 0;
}

function hash(text: string): number {
  let h = 0;
  for (let i = 0; i < text.length; i++) h = mix(h ^ text.charCodeAt(i)) + 0x9e3779b9;
  return mix(h);
}
