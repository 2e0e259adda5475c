import { decodeAll, type HostTensor } from '@flash-mla/core';

/** Arguments of {@link appendLatents} on the host. */
export interface AppendLatentsProblem {
  readonly latents: HostTensor;
  readonly weight: HostTensor;
  readonly eps: number;
  readonly cos: HostTensor<'f32'>;
  readonly sin: HostTensor<'f32'>;
  readonly positions: HostTensor<'i32'> | undefined;
  readonly interleaved: boolean;
  readonly queries: HostTensor;
  /** (blocks, page, 1, latent + rope). */
  readonly kCache: HostTensor;
  readonly slots: HostTensor<'i32'>;
}

export interface AppendLatentsAnswer {
  /** The cache with the rows in it. */
  readonly kCache: Float64Array;
  readonly rotatedQueries: Float64Array;
}

/** Norms, rotates and writes to the cache, in float64. */
export function appendLatents(problem: AppendLatentsProblem): AppendLatentsAnswer {
  const { eps, slots } = problem;
  const [rows = 0, columns = 0] = problem.latents.shape;
  const [latent = 0] = problem.weight.shape;
  const [, heads = 0, rope = 0] = problem.queries.shape;
  const latents = decodeAll(problem.latents);
  const weight = decodeAll(problem.weight);
  const rotatedQueries = decodeAll(problem.queries);
  const kCache = decodeAll(problem.kCache);
  for (let row = 0; row < rows; row++) {
    for (let head = 0; head < heads; head++) {
      const begin = (row * heads + head) * rope;
      rotate(problem, rotatedQueries.subarray(begin, begin + rope), row);
    }
    const own = latents.slice(row * columns, (row + 1) * columns);
    const squares = own.subarray(0, latent).reduce((sum, value) => sum + value * value, 0);
    const scale = 1 / Math.sqrt(squares / latent + eps);
    for (let i = 0; i < latent; i++) own[i] = (own[i] as number) * scale * (weight[i] as number);
    rotate(problem, own.subarray(latent), row);
    const slot = slots.data[row] as number;
    if (slot >= 0 && slot < kCache.length / columns) kCache.set(own, slot * columns);
  }
  return { kCache, rotatedQueries };
}

function rotate(
  { cos, sin, positions, interleaved }: AppendLatentsProblem,
  vector: Float64Array,
  row: number,
): void {
  const [known = 0, half = 0] = cos.shape;
  const position = positions === undefined ? row : (positions.data[row] as number);
  if (position < 0 || position >= known) return;
  for (let i = 0; i < half; i++) {
    const [first, second] = interleaved ? [2 * i, 2 * i + 1] : [i, i + half];
    const c = cos.data[position * half + i] as number;
    const s = sin.data[position * half + i] as number;
    const [a, b] = [vector[first] as number, vector[second] as number];
    vector[first] = a * c - b * s;
    vector[second] = a * s + b * c;
  }
}
