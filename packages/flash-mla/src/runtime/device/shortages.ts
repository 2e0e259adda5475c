/** What Node and the system call a lack of something that may be there again later. */
const shortages: readonly (readonly [pattern: RegExp, remedy: string])[] = [
  [
    /\b(EMFILE|ENFILE)\b|too many open files/,
    'Close files and devices that are not needed, or raise the limit of open files (ulimit -n).',
  ],
  [
    /ERR_WORKER_OUT_OF_MEMORY|\bENOMEM\b|memory limit|out of memory|allocation failed/i,
    'Dispose of other devices, or open this one with fewer threads: the process has no more memory.',
  ],
  [
    /\bEAGAIN\b|ERR_WORKER_INIT_FAILED/,
    'Dispose of other devices, or raise the limit of threads (ulimit -u).',
  ],
];

/** What to do where something does not load for want of something; undefined where it is not that. */
export function shortageRemedy(cause: unknown): string | undefined {
  const { code, message } = Object(cause) as {
    readonly code?: unknown;
    readonly message?: unknown;
  };
  const text = `${code} ${message ?? cause}`;
  return shortages.find(([pattern]) => pattern.test(text))?.[1];
}

/** {@link shortageRemedy} of a module. */
export function shortageOfModule(cause: unknown): string | undefined {
  const remedy = shortageRemedy(cause);
  if (remedy === undefined) return undefined;
  return `${remedy} Then open the device again; Node 20 needs a new process, because it tries to load a module only once.`;
}
