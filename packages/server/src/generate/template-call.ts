import type { OutputFamily } from '../model/served-model.ts';

/** A call of a tool in the history, as clients send it: its arguments as text or as an object. */
export interface GivenCall {
  readonly id: string;
  readonly function: { readonly name: string; readonly arguments: unknown };
}

/** As templates want it. GLM's walks through the arguments; the others write them as they are. */
export function templateCall({ id, function: it }: GivenCall, family: OutputFamily | undefined) {
  const json = family === 'glm' ? asObject(it.arguments) : asText(it.arguments);
  return { id, type: 'function', function: { name: it.name, arguments: json } };
}

function asText(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function asObject(value: unknown): unknown {
  if (typeof value !== 'string') return value;
  try {
    return JSON.parse(value);
  } catch {
    return {};
  }
}
