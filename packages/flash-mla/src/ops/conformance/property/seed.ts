import { InvalidArgumentError } from '@flash-mla/core';

/**
 * Names a drawn problem: `7` is a whole sequence of problems, `7:123` is problem 123 of it, and
 * `7:123:b=1,page=4` is that problem with two of its parameters set to other values, as shrinking leaves
 * it. A problem follows from this text alone, on any machine.
 */
export interface ProblemSeed {
  readonly seed: number;
  /** Absent: from the first problem on. */
  readonly index?: number;
  /** Parameters that are set, not drawn, as text. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** Throws {@link InvalidArgumentError} for a text that is none. */
export function parseSeed(text: string): ProblemSeed {
  const [, seed, index, settings] =
    /^(\d{1,10})(?::(\d{1,10}))?(?::([\w.-]+=[\w.+-]+(?:,[\w.-]+=[\w.+-]+)*))?$/.exec(text) ?? [];
  if (seed === undefined || (settings !== undefined && index === undefined)) {
    throw new InvalidArgumentError('seed', 'S, S:index or S:index:name=value,…', `'${text}'`);
  }
  return {
    seed: Number(seed),
    ...(index !== undefined && { index: Number(index) }),
    ...(settings !== undefined && {
      settings: Object.fromEntries(settings.split(',').map((pair) => pair.split('='))),
    }),
  };
}

/** The text that {@link parseSeed} takes. */
export function formatSeed({ seed, index, settings = {} }: ProblemSeed): string {
  const pairs = Object.entries(settings).map(([name, value]) => `${name}=${value}`);
  const place = index === undefined ? '' : `:${index}`;
  return `${seed}${place}${pairs.length > 0 ? `:${pairs.join(',')}` : ''}`;
}
