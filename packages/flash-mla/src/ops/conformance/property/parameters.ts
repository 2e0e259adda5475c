import type { Random } from '../suite/random.ts';

/** What a parameter may be: something that a name can say and a command can set. */
export type Value = number | string | boolean;

/** One thing about a problem that is drawn, and how it is made smaller. */
export interface Parameter<T extends Value> {
  draw(random: Random): T;
  /** Simpler values than this one, the simplest first: what a failure is shrunk through. */
  simpler(value: T): readonly T[];
  /** The value that a text says; undefined where it says none. */
  parse(text: string): T | undefined;
}

/** The parameters of an operation by name. Each is drawn from a stream of its own. */
export type Space = Readonly<Record<string, Parameter<Value>>>;

/** Drawn values, one for each parameter of a space. */
export type ValuesOf<S extends Space> = {
  readonly [Name in keyof S]: S[Name] extends Parameter<infer T> ? T : never;
};

/** Values of a space whose type is not known. */
export type Values = Readonly<Record<string, Value>>;

/** How {@link integer} draws. */
export interface IntegerOptions {
  /** Values that kernels are made for: half of the draws. */
  readonly usual?: readonly number[];
  /** Only `low` plus multiples of this. Default 1. */
  readonly step?: number;
}

/** A whole number from `low` to `high`, small ones more often. */
export function integer(low: number, high: number, options: IntegerOptions = {}) {
  const { usual = [], step = 1 } = options;
  const count = Math.floor((high - low) / step) + 1;
  const parameter: Parameter<number> = {
    draw(random) {
      if (usual.length > 0 && random.chance(0.5)) return random.pick(usual);
      return low + step * Math.floor(count * random.uniform() ** 2);
    },
    simpler(value) {
      const half = low + step * Math.floor((value - low) / step / 2);
      return [...new Set([low, half, value - step])].filter((n) => n >= low && n < value);
    },
    parse(text) {
      const value = Number(text);
      const isOne = text !== '' && Number.isInteger(value) && (value - low) % step === 0;
      return isOne && value >= low && value <= high ? value : undefined;
    },
  };
  return parameter;
}

/** A power of two, as its exponent: 0 is the simplest and half of the draws. */
export function exponent(low: number, high: number) {
  const parameter: Parameter<number> = {
    draw: (random) => (random.chance(0.5) ? 0 : random.integer(low, high)),
    simpler: (value) =>
      value === 0 ? [] : [...new Set([0, Math.trunc(value / 2), value - Math.sign(value)])],
    parse(text) {
      const value = Number(text);
      const isOne = text !== '' && Number.isInteger(value);
      return isOne && value >= low && value <= high ? value : undefined;
    },
  };
  return parameter;
}

/** One of some words, the simplest first. A word given twice is drawn twice as often. */
export function choice<const T extends string>(...words: readonly T[]) {
  const order = [...new Set(words)];
  const parameter: Parameter<T> = {
    draw: (random) => random.pick(words),
    simpler: (value) => order.slice(0, order.indexOf(value)),
    parse: (text) => order.find((word) => word === text),
  };
  return parameter;
}

/** False is simpler. */
export function flag(probability: number) {
  const parameter: Parameter<boolean> = {
    draw: (random) => random.chance(probability),
    simpler: (value) => (value ? [false] : []),
    parse: (text) => (text === 'true' ? true : text === 'false' ? false : undefined),
  };
  return parameter;
}

/** Draws every parameter. One that is added later changes none of the others. */
export function drawValues(space: Space, random: Random): Values {
  return Object.fromEntries(
    Object.entries(space).map(([name, parameter]) => [name, parameter.draw(random.stream(name))]),
  );
}

/** Every way to make one of the values simpler, the parameters in order. */
export function* simplerValues(space: Space, values: Values): Generator<Values> {
  for (const [name, parameter] of Object.entries(space)) {
    for (const value of parameter.simpler(values[name] as Value)) {
      yield { ...values, [name]: value };
    }
  }
}

/** `name=value` for each value, in order: true is said by the name alone, false not at all. */
export function valuesText(values: Values): string {
  return Object.entries(values)
    .filter(([, value]) => value !== false)
    .map(([name, value]) => (value === true ? name : `${name}=${value}`))
    .join(' ');
}
