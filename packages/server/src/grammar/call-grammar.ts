import type { ToolDefinition } from '../generate/conversation.ts';
import type { GrammarSpec } from '../generate/request.ts';
import type { OutputFamily } from '../model/served-model.ts';
import { jsonCallFormats } from '../output/families.ts';

export interface CallGrammarOptions {
  /** The tools that may be called. */
  readonly tools: readonly ToolDefinition[];
  /** The answer is a call; else it may be text, and a call holds to the grammar once it begins. */
  readonly isForced: boolean;
  readonly isParallel: boolean;
}

/**
 * Holds calls to tools that exist, and their arguments to their schemas. Arguments that are tags (GLM, DSML)
 * are held to the name alone.
 */
export function callGrammar(family: OutputFamily, options: CallGrammarOptions): GrammarSpec {
  const { isForced, isParallel, tools } = options;
  const { section, separator, tags } = formatOf(family, tools);
  const calls = {
    type: 'tags_with_separator',
    tags,
    separator,
    at_least_one: true,
    stop_after_first: !isParallel,
  };
  const whole = {
    type: 'sequence',
    elements: [...text(section.begin), calls, ...text(section.end)],
  };
  const trigger = section.begin || '<tool_call>';
  const format = isForced
    ? whole
    : {
        type: 'triggered_tags',
        triggers: [trigger],
        tags: section.begin
          ? [{ type: 'tag', begin: section.begin, content: calls, end: section.end }]
          : tags,
        at_least_one: false,
        stop_after_first: !isParallel,
      };
  return { kind: 'structural-tag', source: JSON.stringify({ type: 'structural_tag', format }) };
}

function text(value: string) {
  return value === '' ? [] : [{ type: 'const_string', value }];
}

function formatOf(family: OutputFamily, tools: readonly ToolDefinition[]) {
  const json = jsonCallFormats[family];
  if (json !== undefined)
    return {
      section: { begin: json.sectionBegin, end: json.sectionEnd },
      separator: family === 'deepseek-v3' ? '\n' : '',
      tags: tools.map(({ function: tool }) => ({
        type: 'tag',
        begin: json.callBegin + json.writeHeader(tool.name) + json.headerEnd,
        content: { type: 'json_schema', json_schema: tool.parameters ?? { type: 'object' } },
        end: json.callEnd,
      })),
    };
  const anyText = { type: 'any_text' };
  if (family === 'glm')
    return {
      section: { begin: '', end: '' },
      separator: '',
      tags: tools.map(({ function: tool }) => ({
        type: 'tag',
        begin: `<tool_call>${tool.name}`,
        content: anyText,
        end: '</tool_call>',
      })),
    };
  const block = family === 'deepseek-v4' ? 'tool_calls' : 'function_calls';
  return {
    section: { begin: `\n\n<｜DSML｜${block}>\n`, end: `\n</｜DSML｜${block}>` },
    separator: '\n',
    tags: tools.map(({ function: tool }) => ({
      type: 'tag',
      begin: `<｜DSML｜invoke name="${tool.name}">\n`,
      content: anyText,
      end: '</｜DSML｜invoke>',
    })),
  };
}
