import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Tiny models of `test-data/tiny`, one or more for each family. */
export const tinyModels = [
  'deepseek-v2-lite',
  'deepseek-v2',
  'deepseek-v3',
  'deepseek-v3-yarn',
  'deepseek-v3-fp8',
  'deepseek-v32',
  'glm4-moe-lite',
  'glm-moe-dsa',
  'minicpm3',
  'youtu',
] as const;

export type TinyModel = (typeof tinyModels)[number];

/** Path of a file in `test-data`. */
export function dataPath(file: string): string {
  return fileURLToPath(new URL(`../../test-data/${file}`, import.meta.url));
}

/** Folder of the demo model. */
export const talesFolder = fileURLToPath(new URL('../../../tales/', import.meta.url));

/** The text of one of the demo model's files. */
export function talesText(file: string): string {
  return readFileSync(`${talesFolder}${file}`, 'utf8');
}

/** The text of a tiny model's config.json. */
export function tinyConfig(name: TinyModel): string {
  return readFileSync(dataPath(`tiny/${name}/config.json`), 'utf8');
}
