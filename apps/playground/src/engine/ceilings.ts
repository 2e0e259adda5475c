import type { Device } from 'flash-mla';
import { device } from './session.ts';

/** Limits of the open device as measured on it: the roofs of the plot. Absent: not measured. */
export interface Ceilings {
  readonly flopsPerSecond?: number | undefined;
  /** What `flopsPerSecond` counts. */
  readonly flopsOf?: string | undefined;
  readonly readBytesPerSecond?: number | undefined;
  readonly copyBytesPerSecond?: number | undefined;
}

const measured = new WeakMap<Device, Promise<Ceilings>>();

/** Measures at the first call, which takes a second or two. */
export function ceilings(): Promise<Ceilings> {
  const opened = device();
  const known = measured.get(opened);
  if (known) return known;
  const measuring = opened.backend.measurements?.ceilings?.() ?? Promise.resolve({});
  measured.set(opened, measuring);
  measuring.catch(() => measured.delete(opened));
  return measuring;
}
