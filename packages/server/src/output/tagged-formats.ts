import type { TaggedCallFormat, TaggedParameter } from './tagged-call-parser.ts';

/** The JSON schema of each tool's parameters, by the tool's name. */
export type ToolTypes = ReadonlyMap<string, unknown>;

/** GLM: `<tool_call>NAME<arg_key>K</arg_key><arg_value>V</arg_value>…</tool_call>`. */
export function glmCalls(tools: ToolTypes): TaggedCallFormat {
  return {
    section: undefined,
    callBegin: '<tool_call>',
    callEnd: '</tool_call>',
    nameEnds: ['\n'],
    parameterBegin: '<arg_key>',
    parameterEnd: '</arg_value>',
    readParameter: (text, tool) => {
      const [key = '', value = ''] = text.split(/<\/arg_key>\s*<arg_value>/);
      const name = key.trim();
      return { name, json: jsonOf(value, mayBeString(tools.get(tool), name)) };
    },
  };
}

/**
 * DeepSeek V3.2 and V4: `<｜DSML｜invoke name="N">` with
 * `<｜DSML｜parameter name="K" string="true|false">V</｜DSML｜parameter>` for each parameter.
 */
export function dsmlCalls(block: 'function_calls' | 'tool_calls'): TaggedCallFormat {
  return {
    section: { begin: `<｜DSML｜${block}>`, end: `</｜DSML｜${block}>` },
    callBegin: '<｜DSML｜invoke name="',
    callEnd: '</｜DSML｜invoke>',
    nameEnds: ['">'],
    parameterBegin: '<｜DSML｜parameter name="',
    parameterEnd: '</｜DSML｜parameter>',
    readParameter: (text): TaggedParameter => {
      const match = /^(.*?)" string="(true|false)">(.*)$/s.exec(text);
      if (match === null) return { name: text, json: 'null' };
      const [, name = '', isString, value = ''] = match;
      return { name, json: isString === 'true' ? JSON.stringify(value) : jsonOf(value, false) };
    },
  };
}

/** A value that carries no type: JSON where the schema wants something else than a string. */
function jsonOf(value: string, isString: boolean): string {
  if (isString) return JSON.stringify(value);
  try {
    JSON.parse(value);
    return value.trim();
  } catch {
    return JSON.stringify(value);
  }
}

/** Whether the schema of a tool lets a parameter be a string; one that it does not know may be anything. */
function mayBeString(schema: unknown, parameter: string): boolean {
  const properties = field(schema, 'properties');
  return admitsString(field(properties, parameter));
}

function admitsString(schema: unknown): boolean {
  const type = field(schema, 'type');
  if (type !== undefined)
    return type === 'string' || (Array.isArray(type) && type.includes('string'));
  const options = field(schema, 'anyOf') ?? field(schema, 'oneOf');
  if (Array.isArray(options)) return options.some(admitsString);
  const values = field(schema, 'enum');
  return Array.isArray(values) && values.every((value) => typeof value === 'string');
}

function field(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
  return Reflect.get(value, name);
}
