/** Number of elements of a shape. */
export function numElements(shape: readonly number[]): number {
  let product = 1;
  for (let i = 0; i < shape.length; i++) product *= shape[i] as number;
  return product;
}

/** Row-major strides in elements. */
export function contiguousStrides(shape: readonly number[]): number[] {
  const strides = [...shape];
  let stride = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    strides[i] = stride;
    stride *= Math.max(1, shape[i] as number);
  }
  return strides;
}

/** Whether elements lie in row-major order without gaps; strides of extents below 2 do not matter. */
export function isContiguous(shape: readonly number[], strides: readonly number[]): boolean {
  if (shape.includes(0)) return true;
  let expected = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    const extent = shape[i] ?? 1;
    if (extent > 1 && strides[i] !== expected) return false;
    expected *= extent;
  }
  return true;
}

/** Where the elements of a contiguous tensor lie. */
export interface Layout {
  readonly shape: readonly number[];
  /** In elements. */
  readonly strides: readonly number[];
}

/** Layouts by a hash of their shape; of those that share one, the newest. */
const known: (Layout | undefined)[] = new Array(64).fill(undefined);

/**
 * The row-major layout of a shape, which nobody can change. It is remembered, because the outputs of a
 * call have the shapes of the last one's: comparing is faster than making arrays and freezing them.
 */
export function contiguousLayout(shape: readonly number[]): Layout {
  let hash = shape.length;
  for (let i = 0; i < shape.length; i++) hash = (Math.imul(hash, 31) + (shape[i] as number)) | 0;
  const slot = (hash ^ (hash >>> 6)) & 63;
  const found = known[slot];
  if (found !== undefined && isSame(found.shape, shape)) return found;
  const layout = {
    shape: Object.freeze([...shape]),
    strides: Object.freeze(contiguousStrides(shape)),
  };
  known[slot] = layout;
  return layout;
}

function isSame(a: readonly number[], b: readonly number[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
