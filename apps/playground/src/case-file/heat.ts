/** The colours of an error map: plain numbers, so that they can be tested without a canvas. */

export interface Bounds {
  readonly absolute: number;
  readonly relative: number;
}

/** Errors below the absolute bound divided by this are as dark as an exact value. */
export const decadesBelow = 4;

/** Dark to light, readable without telling red from green. The style sheet's legend has the same. */
const stops = [
  [11, 13, 40],
  [52, 28, 105],
  [133, 41, 116],
  [214, 81, 77],
  [250, 160, 50],
  [252, 243, 165],
] as const;

/** What no bound allows stands out from the scale. */
export const beyond = [0, 230, 255] as const;

/** 0: exact; negative: beyond both bounds; else |error| on a scale from 1 / 10^4 of the bound to the bound. */
export function heatOf(actual: number, expected: number, bounds: Bounds): number {
  if (Object.is(actual, expected) || actual === expected) return 0;
  const error = Math.abs(actual - expected);
  const isWithin = error < bounds.absolute || error / (Math.abs(expected) + 1e-6) < bounds.relative;
  if (!isWithin) return -1;
  const decade = Math.log10(error / bounds.absolute) / decadesBelow + 1;
  return Math.max(0, Math.min(1, decade));
}

/** Red, green, blue of a heat. */
export function colourOf(heat: number): readonly [number, number, number] {
  if (heat < 0) return beyond;
  const place = heat * (stops.length - 1);
  const i = Math.min(stops.length - 2, Math.floor(place));
  const [a, b] = [stops[i], stops[i + 1]] as [readonly number[], readonly number[]];
  const mix = (c: number) => {
    const [low, high] = [a[c] as number, b[c] as number];
    return Math.round(low + (high - low) * (place - i));
  };
  return [mix(0), mix(1), mix(2)];
}

/** What a map says in words. */
export interface MapSummary {
  readonly beyond: number;
  readonly exact: number;
  readonly largest: number;
  /** Where the largest error is. */
  readonly at: number;
}

/** RGBA pixels of a map and its summary. */
export function paint(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  bounds: Bounds,
): { pixels: Uint8ClampedArray<ArrayBuffer>; summary: MapSummary } {
  const pixels = new Uint8ClampedArray(4 * actual.length);
  let [outside, exact, largest, at] = [0, 0, 0, 0];
  for (let i = 0; i < actual.length; i++) {
    const [a, e] = [actual[i] as number, expected[i] as number];
    const heat = heatOf(a, e, bounds);
    pixels.set(colourOf(heat), 4 * i);
    pixels[4 * i + 3] = 255;
    if (heat < 0) outside++;
    const error = Object.is(a, e) ? 0 : Math.abs(a - e);
    if (error === 0) exact++;
    if (error > largest || Number.isNaN(error)) {
      largest = Number.isNaN(error) ? Number.POSITIVE_INFINITY : error;
      at = i;
    }
  }
  return { pixels, summary: { beyond: outside, exact, largest, at } };
}
