import type { OutputFamily } from './served-model.ts';

/** The family whose marks a chat template writes. */
export function familyOf(template: string): OutputFamily {
  if (template.includes('<|tool_calls_section_begin|>')) return 'kimi-k2';
  if (template.includes('<arg_key>')) return 'glm';
  if (template.includes('｜DSML｜'))
    return template.includes('function_calls') ? 'deepseek-v3.2' : 'deepseek-v4';
  return template.includes('```json') ? 'deepseek-v3' : 'deepseek-v3.1';
}
