import type { Conversation, ToolChoice } from '../generate/conversation.ts';
import { templateCall } from '../generate/template-call.ts';
import type { OutputFamily, TemplateMessage } from '../model/served-model.ts';
import type { Block, ConversationFields } from './fields.ts';

/** The conversation of a request to the Messages API. */
export function messagesConversation(
  fields: ConversationFields,
  family: OutputFamily | undefined,
): Conversation {
  const { messages, system, thinking, tool_choice: choice, tools = [] } = fields;
  return {
    messages: [
      ...(system === undefined ? [] : [{ role: 'system', content: textOf(system) }]),
      ...messages.flatMap((message) => templateMessages(message, family)),
    ],
    tools: tools.map(({ description, input_schema: parameters, name, strict }) => ({
      type: 'function',
      function: { name, description, parameters, strict },
    })),
    toolChoice: choiceOf(choice),
    parallelCalls: choice?.disable_parallel_tool_use !== true,
    format: { kind: 'text' },
    thinking: thinking && { enabled: thinking.type !== 'disabled' },
    variables: {},
    addGenerationPrompt: true,
  };
}

function choiceOf(choice: ConversationFields['tool_choice']): ToolChoice {
  if (choice === undefined) return { kind: 'auto' };
  if (choice.type === 'tool') return { kind: 'named', name: choice.name };
  return { kind: choice.type === 'any' ? 'required' : choice.type };
}

type Message = ConversationFields['messages'][number];

/** Results of tools are blocks of the user's message here; templates want messages of their own. */
function templateMessages({ content, role }: Message, family: OutputFamily | undefined) {
  const blocks: readonly Block[] =
    typeof content === 'string' ? [{ type: 'text', text: content }] : content;
  const text = blocks.map((block) => (block.type === 'text' ? String(block.text) : '')).join('');
  if (role === 'assistant') return [assistantMessage(blocks, text, family)];
  const results: TemplateMessage[] = blocks.flatMap((block) =>
    block.type === 'tool_result'
      ? [{ role: 'tool', content: textOf(block.content ?? ''), tool_call_id: block.tool_use_id }]
      : [],
  );
  const own = { role: role === 'system' ? 'system' : 'user', content: text };
  return results.length > 0 && text === '' ? results : [...results, own];
}

function assistantMessage(
  blocks: readonly Block[],
  text: string,
  family: OutputFamily | undefined,
): TemplateMessage {
  const thoughts = blocks
    .map((block) => (block.type === 'thinking' ? String(block.thinking) : ''))
    .join('');
  const calls = blocks.flatMap((block) =>
    block.type === 'tool_use'
      ? [
          templateCall(
            { id: block.id, function: { name: block.name, arguments: block.input } },
            family,
          ),
        ]
      : [],
  );
  return {
    role: 'assistant',
    content: text === '' && calls.length > 0 ? null : text,
    ...(thoughts && { reasoning_content: thoughts, reasoning: thoughts }),
    ...(calls.length > 0 && { tool_calls: calls }),
  };
}

function textOf(content: string | readonly { readonly text: string }[]): string {
  return typeof content === 'string' ? content : content.map(({ text }) => text).join('');
}
