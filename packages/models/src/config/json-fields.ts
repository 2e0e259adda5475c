import { ModelConfigError, messageOf, shown } from '../errors.ts';

/** Sizes above these are taken for damage: no model comes near them. */
export interface Range {
  readonly min: number;
  readonly max: number;
}

/**
 * The fields of a JSON object that came with a checkpoint, each read with its type and range. A field
 * that is null counts as absent. Everything that does not fit throws {@link ModelConfigError} naming it.
 */
export class JsonFields {
  readonly #values: ReadonlyMap<string, unknown>;
  /** What messages call the object: the file, and the path inside it. */
  readonly where: string;

  constructor(value: unknown, where: string) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw fieldError(where, 'an object', shown(value));
    }
    this.where = where;
    // A map, so that names such as __proto__ are names like any other.
    this.#values = new Map(Object.entries(value));
  }

  /** Parses the text of a file. */
  static parse(text: string, file: string): JsonFields {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (error) {
      throw fieldError(file, 'JSON', messageOf(error));
    }
    return new JsonFields(value, file);
  }

  /** Names of all fields. */
  names(): string[] {
    return [...this.#values.keys()];
  }

  has(name: string): boolean {
    return (this.#values.get(name) ?? null) !== null;
  }

  /** The field as it is; undefined where it is absent or null. */
  raw(name: string): unknown {
    return this.#values.get(name) ?? undefined;
  }

  integer(name: string, range: Range, fallback?: number): number {
    const value = this.raw(name) ?? fallback;
    const { min, max } = range;
    if (Number.isInteger(value) && (value as number) >= min && (value as number) <= max) {
      return value as number;
    }
    return this.fail(name, `an integer from ${min} to ${max}`, shown(value));
  }

  number(name: string, range: Range, fallback?: number): number {
    const value = this.raw(name) ?? fallback;
    const { min, max } = range;
    if (typeof value === 'number' && value >= min && value <= max) return value;
    return this.fail(name, `a number from ${min} to ${max}`, shown(value));
  }

  boolean(name: string, fallback?: boolean): boolean {
    const value = this.raw(name) ?? fallback;
    if (typeof value === 'boolean') return value;
    return this.fail(name, 'true or false', shown(value));
  }

  string(name: string, fallback?: string): string {
    const value = this.raw(name) ?? fallback;
    if (typeof value === 'string') return value;
    return this.fail(name, 'a string', shown(value));
  }

  /** A string that is one of a few; those that end up here and are none are not supported. */
  choice<Name extends string>(name: string, choices: readonly Name[], fallback?: Name): Name {
    const value = this.raw(name) ?? fallback;
    const found = choices.find((choice) => choice === value);
    return found ?? this.fail(name, `one of ${choices.join(', ')}`, shown(value));
  }

  list(name: string): readonly unknown[] {
    const value = this.raw(name);
    return Array.isArray(value) ? value : this.fail(name, 'a list', shown(value));
  }

  numbers(name: string, length: number, range: Range): readonly number[] {
    const values = this.list(name);
    if (values.length !== length) this.fail(name, `${length} numbers`, `${values.length}`);
    return values.map((value, i) => {
      if (typeof value === 'number' && value >= range.min && value <= range.max) return value;
      return this.fail(`${name}[${i}]`, `a number from ${range.min} to ${range.max}`, shown(value));
    });
  }

  /** Token ids: one, a list of them, or none. */
  tokenIds(name: string): readonly number[] | undefined {
    const value = this.raw(name);
    if (value === undefined) return undefined;
    const values: readonly unknown[] = Array.isArray(value) ? value : [value];
    if (values.length > 64) this.fail(name, 'at most 64 token ids', `${values.length}`);
    return values.map((id) => {
      if (Number.isInteger(id) && (id as number) >= 0 && (id as number) < 2 ** 31) {
        return id as number;
      }
      return this.fail(name, 'a token id or a list of them', shown(id));
    });
  }

  object(name: string): JsonFields {
    return new JsonFields(this.raw(name), `${this.where}: ${name}`);
  }

  fail(name: string, expected: string, actual: string, remedy?: string): never {
    throw fieldError(`${this.where}: ${name}`, expected, actual, remedy);
  }
}

function fieldError(subject: string, expected: string, actual: string, remedy?: string) {
  return new ModelConfigError({
    subject,
    expected,
    actual,
    remedy: remedy ?? 'Get the file again as its authors published it.',
  });
}
