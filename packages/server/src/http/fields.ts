import type { z } from 'zod';
import { badRequest } from '../errors.ts';
import { unknownInside } from './nested-fields.ts';

/** What a route does with each field of a request: carry it out, ignore it and say so, or refuse it. */
export interface FieldPolicy<Schema extends z.ZodObject> {
  readonly schema: Schema;
  /** Accepted without effect. */
  readonly ignored: readonly string[];
  /** Refused, with what to do instead. */
  readonly refused: Readonly<Record<string, string>>;
}

export interface ParsedFields<Value> {
  readonly value: Value;
  /** Fields without effect, unknown ones and those inside of options too: they are named in `x-ignored-params`. */
  readonly ignored: readonly string[];
}

/**
 * Checks a body. null counts as absent everywhere.
 *
 * @param strict refuse what has no effect
 * @throws ApiError 400 that names the field
 */
export function parseFields<Schema extends z.ZodObject>(
  policy: FieldPolicy<Schema>,
  body: Readonly<Record<string, unknown>>,
  strict: boolean,
): ParsedFields<z.infer<Schema>> {
  const given = Object.entries(body).filter(([, value]) => value !== null && value !== undefined);
  const known: Record<string, unknown> = {};
  const ignored: string[] = [];
  for (const [name, value] of given) {
    const reason = Object.hasOwn(policy.refused, name) ? policy.refused[name] : undefined;
    if (reason !== undefined)
      throw badRequest(`${name} is not supported. ${reason}`, name, 'unsupported_parameter');
    if (Object.hasOwn(policy.schema.shape, name)) known[name] = value;
    else if (!strict) ignored.push(name);
    else if (policy.ignored.includes(name))
      throw badRequest(`${name} has no effect here.`, name, 'unsupported_parameter');
    else throw badRequest(`${name} is unknown.`, name, 'unknown_parameter');
  }
  const result = policy.schema.safeParse(known);
  if (result.success) {
    const inside = Object.entries(known).flatMap(([name, value]) =>
      unknownInside(policy.schema.shape[name], value, name),
    );
    const [first] = inside;
    if (strict && first !== undefined)
      throw badRequest(`${first} has no effect here.`, first, 'unsupported_parameter');
    return { value: result.data, ignored: [...ignored, ...inside] };
  }
  const [issue] = result.error.issues;
  const path = issue === undefined ? '' : pathOf(issue);
  throw badRequest(`${path}: ${issue?.message ?? 'invalid'}`, path);
}

/** The place in the request that is wrong; for a union, in the option that comes nearest. */
function pathOf({ path }: z.core.$ZodIssue): string {
  return path.reduce<string>(
    (text, key) =>
      typeof key === 'number'
        ? `${text}[${key}]`
        : text === ''
          ? String(key)
          : `${text}.${String(key)}`,
    '',
  );
}

/** A header may hold printable ASCII only. */
export function ignoredHeader(names: readonly string[]): Record<string, string> {
  if (names.length === 0) return {};
  const list = names.slice(0, 50).map((name) => name.replace(/[^\w.-]/g, '?').slice(0, 100));
  return { 'x-ignored-params': list.join(', ') };
}
