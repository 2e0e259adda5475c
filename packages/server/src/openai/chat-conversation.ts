import type { Conversation, ToolChoice } from '../generate/conversation.ts';
import { templateCall } from '../generate/template-call.ts';
import type { OutputFamily, TemplateMessage } from '../model/served-model.ts';
import type { ChatFields, ChatMessage } from './chat-fields.ts';

/** A chat completion's conversation in the form that templates expect. */
export function conversationOf(fields: ChatFields, family: OutputFamily | undefined): Conversation {
  const { chat_template_kwargs: variables = {}, reasoning_effort: effort } = fields;
  return {
    messages: fields.messages.map((message) => templateMessage(message, family)),
    tools: fields.tools ?? [],
    toolChoice: choiceOf(fields),
    parallelCalls: fields.parallel_tool_calls ?? true,
    format: formatOf(fields),
    thinking: effort && (effort === 'none' ? { enabled: false } : { enabled: true, effort }),
    variables,
    addGenerationPrompt: fields.add_generation_prompt ?? true,
  };
}

function formatOf({ response_format: format }: ChatFields): Conversation['format'] {
  if (format?.type === 'json_object') return { kind: 'json' };
  if (format?.type === 'json_schema') return { kind: 'schema', schema: format.json_schema.schema };
  return { kind: 'text' };
}

function choiceOf({ tool_choice: choice = 'auto' }: ChatFields): ToolChoice {
  if (typeof choice === 'string') return { kind: choice };
  return { kind: 'named', name: choice.function.name };
}

function templateMessage(message: ChatMessage, family: OutputFamily | undefined): TemplateMessage {
  const content = textOf(message.content);
  if (message.role === 'tool')
    return { role: 'tool', content: content ?? '', tool_call_id: message.tool_call_id };
  if (message.role !== 'assistant') {
    const { name } = message;
    const role = message.role === 'developer' ? 'system' : message.role;
    return { role, content: content ?? '', ...(typeof name === 'string' && { name }) };
  }
  const thoughts = message.reasoning_content ?? message.reasoning;
  const calls = message.tool_calls ?? [];
  return {
    role: 'assistant',
    content,
    ...(thoughts && { reasoning_content: thoughts, reasoning: thoughts }),
    ...(calls.length > 0 && { tool_calls: calls.map((call) => templateCall(call, family)) }),
  };
}

/** The text of a message whose content may come in parts. */
export function textOf(content: ChatMessage['content']): string | null {
  if (content === null || content === undefined) return null;
  if (typeof content === 'string') return content;
  return content.map((part) => ('text' in part ? part.text : part.refusal)).join('');
}
