import { significant } from '../../ops/bench/numbers.ts';
import type { DeviceCeilings } from '../../runtime/device/backend.ts';
import type { Device } from '../../runtime/device/device.ts';

/** A ceiling that was not the same before and after the measurements. */
export interface MovedCeiling {
  readonly ceiling: Rate;
  readonly before: number;
  readonly after: number;
}

type Rate = 'flopsPerSecond' | 'readBytesPerSecond' | 'copyBytesPerSecond';

const names: Readonly<Record<Rate, string>> = {
  flopsPerSecond: 'FMA rate',
  readBytesPerSecond: 'memory read',
  copyBytesPerSecond: 'memory copy',
};

/** How far a ceiling may move, relative to the smaller value, before shares of it are in doubt. */
const tolerated = 0.1;

/** Asks the device, which measures now; nothing where it knows none. Takes about a second. */
export async function measureCeilings({ backend }: Device): Promise<DeviceCeilings> {
  return (await backend.measurements?.ceilings?.()) ?? {};
}

/** Those that moved by more than a tenth. */
export function movedCeilings(before: DeviceCeilings, after: DeviceCeilings): MovedCeiling[] {
  return rates().flatMap((ceiling) => {
    const [first, second] = [before[ceiling], after[ceiling]];
    if (first === undefined || second === undefined) return [];
    const moved = Math.abs(second - first) > tolerated * Math.min(first, second);
    return moved ? [{ ceiling, before: first, after: second }] : [];
  });
}

/** The higher of two measurements of each: a ceiling is what a device can do when left alone. */
export function highest(before: DeviceCeilings, after: DeviceCeilings): DeviceCeilings {
  const best: Record<string, number> = {};
  for (const rate of rates()) {
    const known = [before[rate], after[rate]].filter((value) => value !== undefined);
    if (known.length > 0) best[rate] = Math.max(...known);
  }
  return { ...before, ...after, ...best };
}

/** What to tell who reads shares of ceilings that moved; undefined where none did. */
export function movedWarning(moved: readonly MovedCeiling[]): string | undefined {
  if (moved.length === 0) return undefined;
  const changes = moved.map(({ ceiling, before, after }) => {
    const unit = ceiling === 'flopsPerSecond' ? 'GFLOP/s' : 'GB/s';
    return `${names[ceiling]} ${significant(before / 1e9)} → ${significant(after / 1e9)} ${unit}`;
  });
  return (
    `the device's own ceilings moved during the run (${changes.join(', ')}): other programs use it, or ` +
    'its clock changed. Times and shares are as uncertain: run it again when the machine is quiet.'
  );
}

function rates(): Rate[] {
  return Object.keys(names) as Rate[];
}
