import { byteSize } from './numbers.ts';
import { UsageError } from './usage-error.ts';

/** Requests that a problem may have: lists of their lengths are made, on the host too. */
export const maxRequests = 2 ** 20;

/** More than any device holds: where nobody tells how much there is. */
const largestMemory = 2 ** 40;

/**
 * Throws {@link UsageError} where a problem does not fit, before anything of it is made.
 *
 * @param bytes what a set of its inputs takes.
 * @param room what there is; undefined: unknown.
 * @param where whose memory that is, e.g. `device cpu`.
 */
export function checkRoom(bytes: number, room: number | undefined, where: string): void {
  const most = room ?? largestMemory;
  if (bytes <= most) return;
  const has = room === undefined ? 'no device has more than' : `${where} has`;
  throw new UsageError(
    `This problem takes ${byteSize(bytes)} of memory, and ${has} ${byteSize(most)}: choose smaller sizes.`,
  );
}

/** The largest of some lengths, however many there are; 0 of none. */
export function largest(lengths: readonly number[]): number {
  return lengths.reduce((most, length) => Math.max(most, length), 0);
}
