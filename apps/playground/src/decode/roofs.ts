import type { Ceilings } from '../engine/ceilings.ts';

/** FLOP per second that the device could do at most at an intensity (FLOP per byte), where known. */
export function roofAt(ceilings: Ceilings | undefined, intensity: number): number | undefined {
  const { flopsPerSecond, readBytesPerSecond } = ceilings ?? {};
  const slope = readBytesPerSecond === undefined ? undefined : readBytesPerSecond * intensity;
  if (flopsPerSecond === undefined) return slope;
  return slope === undefined ? flopsPerSecond : Math.min(flopsPerSecond, slope);
}

/** A logarithmic axis in pixels. */
export interface LogAxis {
  readonly low: number;
  readonly high: number;
  at(value: number): number;
}

/** FLOP per byte across, FLOP per second up. */
export interface Axes {
  readonly x: LogAxis;
  readonly y: LogAxis;
}

export function logAxis(low: number, high: number, from: number, to: number): LogAxis {
  const span = Math.log10(high / low);
  return { low, high, at: (value) => from + ((to - from) * Math.log10(value / low)) / span };
}

/** Whole decades of an axis, its ends included. */
export function decades({ low, high }: Pick<LogAxis, 'low' | 'high'>): number[] {
  const begin = Math.ceil(Math.log10(low) - 1e-9);
  const end = Math.floor(Math.log10(high) + 1e-9);
  return Array.from({ length: Math.max(0, end - begin + 1) }, (_, i) => 10 ** (begin + i));
}

/** Lines between the decades of an axis, as on logarithmic paper. */
export function between({ low, high }: Pick<LogAxis, 'low' | 'high'>): number[] {
  const lines: number[] = [];
  for (let decade = 10 ** Math.floor(Math.log10(low)); decade < high; decade *= 10) {
    for (let n = 2; n < 10; n++) lines.push(n * decade);
  }
  return lines.filter((line) => line >= low && line <= high);
}

/** The rates that a plot must show: a decade and a half below the roofs, more where points are lower. */
export function rateRange(
  ceilings: Ceilings | undefined,
  rates: readonly number[],
): { low: number; high: number } {
  const all = rates.filter((rate) => rate > 0 && Number.isFinite(rate));
  const roof = ceilings?.flopsPerSecond;
  const highest = Math.max(...(roof === undefined ? [] : [roof]), ...all, 1e9);
  return { low: Math.min(highest / 40, ...all.map((rate) => rate / 3)), high: highest * 2.5 };
}
