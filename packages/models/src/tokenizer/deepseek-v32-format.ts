import { type ChatMessage, type ChatOptions, guardTemplate } from './chat-template.ts';
import { type OrderedJson, parseOrdered, pythonJson } from './ordered-json.ts';
import type { PromptFormat } from './prompt-format.ts';

const [begin, end] = ['<｜begin▁of▁sentence｜>', '<｜end▁of▁sentence｜>'];
const [user, assistant] = ['<｜User｜>', '<｜Assistant｜>'];
const [think, thought] = ['<think>', '</think>'];
const mark = '｜DSML｜';

/** What the model was trained to read before its tools. */
const toolsIntroduction = `## Tools

You have access to a set of tools you can use to answer the user's question.
You can invoke functions by writing a "<${mark}function_calls>" block like the following as part of your reply to the user:
<${mark}function_calls>
<${mark}invoke name="$FUNCTION_NAME">
<${mark}parameter name="$PARAMETER_NAME" string="true|false">$PARAMETER_VALUE</${mark}parameter>
...
</${mark}invoke>
<${mark}invoke name="$FUNCTION_NAME2">
...
</${mark}invoke>
</${mark}function_calls>

String and scalar parameters should be specified as is without any escaping or quotes, while lists and objects should use JSON format. The "string" attribute should be set to "true" for string type parameters and "false" for other types (numbers, booleans, arrays, objects).

If the thinking_mode is enabled, then after function results you should strongly consider outputting a thinking block. Here is an example:

<${mark}function_calls>
...
</${mark}function_calls>

<function_results>
...
</function_results>

${think}...thinking about results${thought}

Here are the functions available in JSONSchema format:
<functions>
`;

/**
 * DeepSeek V3.2's conversations. The model comes without a Jinja template: DeepSeek publishes code, whose texts this
 * is held to. The variables `thinking` and `enable_thinking` switch thoughts on; by default there are none.
 *
 * Tools belong to the first system message; without one they come first. Thoughts before the last user's message are
 * left out, as are messages of developers before it. An answer behind it that has no thoughts gets empty ones.
 */
export class DeepSeekV32Format implements PromptFormat {
  readonly source = toolsIntroduction;

  render(messages: readonly ChatMessage[], options: ChatOptions = {}): string {
    return guardTemplate('messages in the order of a conversation', () =>
      rendered(messages, options),
    );
  }
}

function rendered(
  given: readonly ChatMessage[],
  { addGenerationPrompt = true, tools = [], variables = {} }: ChatOptions,
): string {
  const thinks = Boolean(variables.thinking ?? variables.enable_thinking ?? false);
  const all = withTools(given, tools);
  const lastOf = (list: readonly ChatMessage[]) =>
    list.findLastIndex(({ role }) => role === 'user' || role === 'developer');
  const dropped = lastOf(all);
  const messages = thinks ? all.filter(({ role }, i) => role !== 'developer' || i >= dropped) : all;
  const lastUser = lastOf(messages);
  const parts = messages.map((message, index) => {
    const isLast = index === messages.length - 1;
    const opens = thinks && index >= lastUser ? think : thought;
    const place = { messages, index, opens, answers: addGenerationPrompt || !isLast };
    switch (message.role) {
      case 'system':
        return (message.content ?? '') + toolsOf(message) + formatOf(message);
      case 'developer':
      case 'user':
        return userMessage(message, place);
      case 'tool':
        return toolResult(message, place);
      case 'assistant':
        return answer(message, thinks && index > lastUser);
      default:
        throw new Error(`there is no role ${message.role}`);
    }
  });
  return begin + parts.join('');
}

interface Place {
  readonly messages: readonly ChatMessage[];
  readonly index: number;
  /** What the answer to it begins with. */
  readonly opens: string;
  /** Whether an answer follows. */
  readonly answers: boolean;
}

function withTools(messages: readonly ChatMessage[], tools: readonly unknown[]): ChatMessage[] {
  if (tools.length === 0) return [...messages];
  const at = messages.findIndex(({ role }) => role === 'system');
  if (at < 0) return [{ role: 'system', content: '', tools }, ...messages];
  return messages.map((message, i) => (i === at ? { ...message, tools } : message));
}

function userMessage(message: ChatMessage, { opens, answers }: Place): string {
  const own =
    message.role === 'user'
      ? (message.content ?? '')
      : `${toolsOf(message)}${formatOf(message)}\n\n# The user's message is: ${message.content ?? ''}`;
  return user + own + (answers ? assistant + opens : '');
}

function toolsOf({ tools }: ChatMessage): string {
  if (!Array.isArray(tools) || tools.length === 0) return '';
  const lines = tools.map((tool) =>
    json((tool as { readonly function?: unknown }).function ?? tool),
  );
  return `\n\n${toolsIntroduction}${lines.join('\n')}\n</functions>\n`;
}

function formatOf({ response_format: format }: ChatMessage): string {
  if (format === undefined || format === null) return '';
  const introduction =
    '## Response Format:\n\nYou MUST strictly adhere to the following schema to reply:\n';
  return `\n\n${introduction}${json(format)}`;
}

/** Results follow one another in the order of the calls before them. */
function toolResult({ content }: ChatMessage, { messages, index, opens, answers }: Place): string {
  let caller = index - 1;
  while (messages[caller]?.role === 'tool') caller--;
  const calls = callsOf(messages[caller]);
  const order = index - caller;
  if (messages[caller]?.role !== 'assistant' || calls.length < order) {
    throw new Error(`message ${index} is a tool's result, but there is no call for it`);
  }
  const first = order === 1 ? '\n\n<function_results>' : '';
  const isLast = order === calls.length;
  const last = isLast ? `\n</function_results>${answers ? `\n\n${opens}` : ''}` : '';
  return `${first}\n<result>${content ?? ''}</result>${last}`;
}

function answer(message: ChatMessage, hasThoughts: boolean): string {
  const { content, reasoning_content: reasoning } = message;
  const thoughts = hasThoughts ? `${typeof reasoning === 'string' ? reasoning : ''}${thought}` : '';
  const calls = callsOf(message).map(
    ({ name, args }) => `<${mark}invoke name="${name}">\n${parameters(args)}\n</${mark}invoke>`,
  );
  const block =
    calls.length === 0
      ? ''
      : `\n\n<${mark}function_calls>\n${calls.join('\n')}\n</${mark}function_calls>`;
  return thoughts + (content ?? '') + block + end;
}

function callsOf(message: ChatMessage | undefined): { name: string; args: OrderedJson }[] {
  const calls = message?.tool_calls;
  if (!Array.isArray(calls)) return [];
  return calls.map((call: { readonly function?: { name?: unknown; arguments?: unknown } }) => {
    const { name, arguments: given = '{}' } = call.function ?? {};
    return {
      name: String(name),
      args: parseOrdered(typeof given === 'string' ? given : JSON.stringify(given)),
    };
  });
}

function parameters(args: OrderedJson): string {
  if (!(args instanceof Map)) throw new Error('the arguments of a call are no JSON object');
  return [...(args as ReadonlyMap<string, OrderedJson>)]
    .map(([name, value]) => {
      const isText = typeof value === 'string';
      const text = isText ? value : pythonJson(value);
      return `<${mark}parameter name="${name}" string="${isText}">${text}</${mark}parameter>`;
    })
    .join('\n');
}

const json = (value: unknown) => pythonJson(parseOrdered(JSON.stringify(value)));
