import type { Device } from 'flash-mla';

/** What a task gets beside its arguments. */
export interface TaskContext<Event> {
  /** Aborted when the user stops the task or starts another. */
  readonly signal: AbortSignal;
  emit(event: Event): void;
}

let current: Device | undefined;

/** The open device. Throws where there is none. */
export function device(): Device {
  if (current === undefined) throw new Error('Open a device first.');
  return current;
}

/** Closes the open device, if any, and puts another in its place. */
export async function replaceDevice(next: Device | undefined): Promise<void> {
  const before = current;
  current = next;
  await before?.dispose();
}
