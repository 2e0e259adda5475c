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
  const { back, callBegin, front, separator, tags } = formatOf(family, tools);
  const stop = { stop_after_first: !isParallel };
  const calls = {
    type: 'tags_with_separator',
    tags,
    separator: separator + callBegin,
    at_least_one: true,
    ...stop,
  };
  const begin = front + callBegin;
  const whole = { type: 'tag', begin, content: calls, end: back };
  const open = { type: 'sequence', elements: [{ type: 'const_string', value: begin }, calls] };
  const alone = tags.map((tag) => ({ ...tag, begin: callBegin + tag.begin }));
  const triggered = {
    type: 'triggered_tags',
    triggers: [begin],
    tags: back === '' ? alone : [whole],
    at_least_one: false,
    ...stop,
  };
  // xgrammar takes no end that is empty, and nothing behind calls in a sequence.
  const forced = back === '' ? open : whole;
  const format = isForced ? forced : triggered;
  return { kind: 'structural-tag', source: JSON.stringify({ type: 'structural_tag', format }) };
}

/** A call without its first mark, so that the mark can be a part of what stands between calls. */
interface CallTag {
  readonly type: 'tag';
  readonly begin: string;
  readonly content: object;
  readonly end: string;
}

interface CallFormat {
  /** Around all calls. */
  readonly front: string;
  readonly back: string;
  readonly callBegin: string;
  readonly separator: string;
  readonly tags: readonly CallTag[];
}

function formatOf(family: OutputFamily, tools: readonly ToolDefinition[]): CallFormat {
  const json = jsonCallFormats[family];
  if (json !== undefined)
    return {
      front: json.sectionBegin,
      back: json.sectionEnd,
      callBegin: json.callBegin,
      separator: family === 'deepseek-v3' ? '\n' : '',
      tags: tools.map(({ function: tool }) => ({
        type: 'tag',
        begin: json.writeHeader(tool.name) + json.headerEnd,
        content: { type: 'json_schema', json_schema: tool.parameters ?? { type: 'object' } },
        end: json.callEnd,
      })),
    };
  const content = { type: 'any_text' };
  if (family === 'glm') {
    const tags = tools.map(
      ({ function: { name } }): CallTag => ({
        type: 'tag',
        begin: name,
        content,
        end: '</tool_call>',
      }),
    );
    return { front: '', back: '', callBegin: '<tool_call>', separator: '', tags };
  }
  const block = family === 'deepseek-v4' ? 'tool_calls' : 'function_calls';
  return {
    front: `\n\n<｜DSML｜${block}>\n`,
    back: `\n</｜DSML｜${block}>`,
    callBegin: '<｜DSML｜invoke name="',
    separator: '\n',
    tags: tools.map(({ function: tool }) => ({
      type: 'tag',
      begin: `${tool.name}">\n`,
      content,
      end: '</｜DSML｜invoke>',
    })),
  };
}
