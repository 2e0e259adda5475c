/** Uniform numbers in [0, 1), the same for the same seed (mulberry32). */
export function uniform(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Standard normals. */
export function normals(count: number, next: () => number): Float32Array {
  return Float32Array.from({ length: count }, () => {
    return Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
  });
}

/** The numbers 0 … count − 1 in random order. */
export function permutation(count: number, next: () => number): number[] {
  const order = Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(next() * (i + 1));
    [order[i], order[j]] = [order[j] as number, order[i] as number];
  }
  return order;
}

/**
 * `count` different numbers below `length`, the newest (`length` − 1) first, the others scattered: a walk
 * whose stride has no divisor in common with `length`. Cheap enough for every step of a loop.
 */
export function scattered(count: number, length: number, next: () => number): number[] {
  if (count >= length) return Array.from({ length }, (_, i) => length - 1 - i);
  let stride = 1 + Math.floor(next() * (length - 1));
  while (divisor(stride, length) !== 1) stride = (stride % length) + 1;
  return Array.from({ length: count }, (_, i) => (length - 1 + i * stride) % length);
}

function divisor(a: number, b: number): number {
  return b === 0 ? a : divisor(b, a % b);
}
