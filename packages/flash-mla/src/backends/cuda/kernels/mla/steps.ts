/**
 * Building that stops after each piece of work, so that the caller can put pieces of other work in
 * between: the instructions of one hide the latency of the other.
 */
export type Steps = Generator<void, void, void>;

/** Builds what is left. */
export function finish(steps: Steps): void {
  while (steps.next().done !== true);
}

/** Builds works piece by piece in turns, the first first, until all are done. */
export function takeTurns(...works: readonly Steps[]): void {
  let open = works;
  while (open.length > 0) open = open.filter((work) => work.next().done !== true);
}
