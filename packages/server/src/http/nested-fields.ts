import { z } from 'zod';

/**
 * Fields inside of an option that its schema does not name, which have no effect therefore: `stream_options.x`. Lists
 * are left out: messages and tools are handed to the model as they are.
 */
export function unknownInside(schema: unknown, value: unknown, path: string): string[] {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodNullable)
    return unknownInside(schema.unwrap(), value, path);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [];
  if (schema instanceof z.ZodUnion) {
    const fitting = schema.options.find((option) => z.safeParse(option, value).success);
    return unknownInside(fitting, value, path);
  }
  if (!(schema instanceof z.ZodObject)) return [];
  return Object.entries(value).flatMap(([name, inner]) => {
    if (inner === null || inner === undefined) return [];
    const inside = `${path}.${name}`;
    if (!Object.hasOwn(schema.shape, name)) return [inside];
    return unknownInside(schema.shape[name], inner, inside);
  });
}
