import type { Conversation } from '../generate/conversation.ts';
import { templateCall } from '../generate/template-call.ts';
import type { OutputFamily, TemplateMessage } from '../model/served-model.ts';
import type { InputItem, ResponsesFields } from './responses-fields.ts';

/** The conversation of a request to the Responses API. */
export function responsesConversation(
  fields: ResponsesFields,
  family: OutputFamily | undefined,
): Conversation {
  const {
    instructions,
    parallel_tool_calls: parallel = true,
    reasoning,
    text,
    tools = [],
  } = fields;
  const { tool_choice: choice = 'auto' } = fields;
  const system: TemplateMessage[] =
    instructions === undefined ? [] : [{ role: 'system', content: instructions }];
  const { effort } = reasoning ?? {};
  const format = text?.format;
  return {
    messages: [...system, ...messagesOf(fields.input, family)],
    tools: tools.map(({ description, name, parameters, strict }) => ({
      type: 'function',
      function: { name, description, parameters, strict },
    })),
    toolChoice:
      typeof choice === 'string' ? { kind: choice } : { kind: 'named', name: choice.name },
    parallelCalls: parallel,
    format:
      format?.type === 'json_schema'
        ? { kind: 'schema', schema: format.schema }
        : { kind: format?.type === 'json_object' ? 'json' : 'text' },
    thinking: effort
      ? effort === 'none'
        ? { enabled: false }
        : { enabled: true, effort }
      : undefined,
    variables: {},
    addGenerationPrompt: true,
  };
}

/** Thoughts and calls are items of their own here; templates want them in the assistant's message. */
function messagesOf(input: ResponsesFields['input'], family: OutputFamily | undefined) {
  if (typeof input === 'string') return [{ role: 'user', content: input }];
  const messages: TemplateMessage[] = [];
  let thoughts: string | undefined;
  for (const item of input) {
    if (item.type === 'reasoning') thoughts = textOf(item.content ?? []);
    else if (item.type === 'function_call_output')
      messages.push({ role: 'tool', content: textOf(item.output), tool_call_id: item.call_id });
    else {
      if (item.type === 'function_call') addCall(messages, { ...item, thoughts }, family);
      else messages.push(messageOf(item, thoughts));
      thoughts = undefined;
    }
  }
  return messages;
}

function messageOf(
  { content, role }: Extract<InputItem, { type?: 'message' | undefined }>,
  thoughts: string | undefined,
): TemplateMessage {
  const own = role === 'assistant' && thoughts;
  return {
    role: role === 'developer' ? 'system' : role,
    content: textOf(content),
    ...(own && { reasoning_content: own, reasoning: own }),
  };
}

function addCall(
  messages: TemplateMessage[],
  item: { call_id: string; name: string; arguments: string; thoughts: string | undefined },
  family: OutputFamily | undefined,
): void {
  const call = templateCall(
    { id: item.call_id, function: { name: item.name, arguments: item.arguments } },
    family,
  );
  const last = messages.at(-1);
  const { thoughts } = item;
  if (last?.role === 'assistant') {
    const before = Array.isArray(last.tool_calls) ? last.tool_calls : [];
    messages[messages.length - 1] = { ...last, tool_calls: [...before, call] };
  } else
    messages.push({
      role: 'assistant',
      content: null,
      tool_calls: [call],
      ...(thoughts && { reasoning_content: thoughts, reasoning: thoughts }),
    });
}

type Content = Extract<InputItem, { type?: 'message' | undefined }>['content'];

function textOf(content: Content): string {
  if (typeof content === 'string') return content;
  return content.map((part) => ('text' in part ? part.text : part.refusal)).join('');
}
