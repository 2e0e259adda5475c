import type { Device } from 'flash-mla';

/** What a task gets beside its arguments. */
export interface TaskContext<Event> {
  /** Aborted when the user stops the task or starts another. */
  readonly signal: AbortSignal;
  emit(event: Event): void;
}

let current: Device | undefined;
/** What lives on the open device and ends before it. */
const closers = new Set<() => Promise<void>>();

/** The open device. Throws where there is none. */
export function device(): Device {
  if (current === undefined) throw new Error('Open a device first.');
  return current;
}

/** Has something done before the open device is closed, once. */
export function beforeClose(close: () => Promise<void>): void {
  closers.add(close);
}

/** Closes the open device, if any, and puts another in its place. */
export async function replaceDevice(next: Device | undefined): Promise<void> {
  const before = current;
  current = next;
  const ending = [...closers].map((close) => close());
  closers.clear();
  // What a lost device cannot give back any more is gone with it.
  await Promise.allSettled(ending);
  await before?.dispose();
}
