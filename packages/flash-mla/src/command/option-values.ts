import { InvalidArgumentError } from 'commander';

/** A parser for an option that takes a whole number from `low` to `high`. */
export function integer(low: number, high = 2 ** 31 - 1): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^[+-]?\d+$/.test(text) && value >= low && value <= high) return value;
    throw new InvalidArgumentError(`Expected a whole number from ${low} to ${high}.`);
  };
}

/** A parser for an option that takes a number from `low` to `high`. */
export function number(low: number, high: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^[+-]?(?:\d+\.?\d*|\.\d+)$/.test(text) && value >= low && value <= high) return value;
    throw new InvalidArgumentError(`Expected a number from ${low} to ${high}.`);
  };
}

/** As {@link integer}, for an option that may be given more than once or as a comma-separated list. */
export function list(text: string, before: readonly string[] = []): string[] {
  return [...before, ...text.split(',').filter((item) => item !== '')];
}
