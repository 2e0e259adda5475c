import { deepseekV2 } from './deepseek-v2.ts';
import { deepseekV3 } from './deepseek-v3.ts';
import { deepseekV32 } from './deepseek-v32.ts';
import type { Family } from './family.ts';
import { glmMoeDsa } from './glm-moe-dsa.ts';
import { glm4MoeLite } from './glm4-moe-lite.ts';
import { minicpm3 } from './minicpm3.ts';
import { youtu } from './youtu.ts';

/** Adding a family adds a file and one line here. */
export const families: readonly Family[] = [
  deepseekV2,
  deepseekV3,
  deepseekV32,
  glm4MoeLite,
  glmMoeDsa,
  minicpm3,
  youtu,
];

/** The family that a `model_type` belongs to; undefined where there is none. */
export function familyOf(modelType: string): Family | undefined {
  return families.find(
    (family) => family.modelType === modelType || family.aliases.includes(modelType),
  );
}

/** Every `model_type` that can be loaded. */
export function modelTypes(): string[] {
  return families.flatMap(({ modelType, aliases }) => [modelType, ...aliases]);
}
