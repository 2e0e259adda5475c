/**
 * Building that stops after each piece of work, so that the caller can put pieces of other work in
 * between: the instructions of one hide the latency of the other.
 */
export type Steps = Generator<void, void, void>;

/** Builds what is left. */
export function drain(steps: Steps): void {
  while (steps.next().done !== true);
}

/** Begins to load something; what it returns builds what becomes of it. */
export type Load<T> = () => () => T;

/** The results of loads, each with the next `ahead` loads begun before it is built. */
export function* loadingAhead<T>(loads: Iterable<Load<T>>, ahead: number): Generator<T> {
  const begun: (() => T)[] = [];
  for (const load of loads) {
    begun.push(load());
    if (begun.length > ahead) yield (begun.shift() as () => T)();
  }
  for (const build of begun) yield build();
}

/** Builds works piece by piece in turns, the first first, until all are done. */
export function interleave(...works: readonly Steps[]): void {
  let open = works;
  while (open.length > 0) open = open.filter((work) => work.next().done !== true);
}
