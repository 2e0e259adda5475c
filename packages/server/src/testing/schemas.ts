import { readFileSync } from 'node:fs';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';

/** Checks values against schemas of one document. */
export class Schemas {
  readonly #ajv = new Ajv2020({ strict: false, validateFormats: false, allErrors: true });
  readonly #name: string;
  readonly #checks = new Map<string, ValidateFunction>();

  /** @param name of the document, as it stands in messages */
  constructor(name: string, document: object) {
    this.#name = name;
    this.#ajv.addSchema(document, name);
  }

  /**
   * What is wrong with a value; empty where nothing is.
   *
   * @param pointer of the schema in the document, without `#`
   */
  problems(pointer: string, value: unknown): string[] {
    let check = this.#checks.get(pointer);
    if (check === undefined) {
      check = this.#ajv.compile({ $ref: `${this.#name}#${pointer}` });
      this.#checks.set(pointer, check);
    }
    if (check(value)) return [];
    const text = JSON.stringify(value).slice(0, 300);
    const errors = check.errors ?? [];
    return errors.map((error) => `${pointer}${error.instancePath} ${error.message}: ${text}`);
  }
}

/** A cut of a published document: see published/README.md. */
export function publishedSchemas(name: 'anthropic' | 'openai'): Schemas {
  const file = new URL(`published/${name}.json`, import.meta.url);
  return new Schemas(name, JSON.parse(readFileSync(file, 'utf8')));
}

/** The pointer to a path's answer in an OpenAPI document. */
export function answerPointer(
  path: string,
  { method = 'post', status = '200', type = 'application/json' } = {},
): string {
  const parts = ['paths', path, method, 'responses', status, 'content', type, 'schema'];
  return parts.map((part) => `/${part.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}
