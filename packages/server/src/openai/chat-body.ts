import { randomBytes } from 'node:crypto';
import type { CollectedChoice } from '../generate/collect.ts';
import type { FinishReason } from '../generate/request.ts';
import type { ServedTokenizer } from '../model/served-model.ts';
import type { ReasoningField } from '../options.ts';
import { chatLogprobs } from './token-logprobs.ts';

/** How thoughts appear in a message: under none, one or both of the names that clients know. */
export function reasoningFields(text: string, field: ReasoningField): Record<string, string> {
  if (text === '' || field === 'none') return {};
  if (field === 'both') return { reasoning: text, reasoning_content: text };
  return { [field]: text };
}

export function newCallId(): string {
  return `call_${randomBytes(12).toString('hex')}`;
}

export function finishReason(reason: FinishReason | undefined): 'stop' | 'length' | 'tool_calls' {
  if (reason?.kind === 'calls') return 'tool_calls';
  return reason?.kind === 'length' ? 'length' : 'stop';
}

/** A choice of a chat completion that is not streamed. */
export function chatChoice(
  choice: CollectedChoice,
  index: number,
  options: {
    readonly field: ReasoningField;
    readonly hasLogprobs: boolean;
    readonly tokenizer: ServedTokenizer;
  },
) {
  const calls = choice.calls.map(({ id, name, arguments: json }) => ({
    id: id ?? newCallId(),
    type: 'function',
    function: { name, arguments: json },
  }));
  return {
    index,
    message: {
      role: 'assistant',
      content: choice.text === '' && calls.length > 0 ? null : choice.text,
      refusal: null,
      ...reasoningFields(choice.reasoning, options.field),
      ...(calls.length > 0 && { tool_calls: calls }),
    },
    logprobs: options.hasLogprobs ? chatLogprobs(options.tokenizer, choice.logprobs) : null,
    finish_reason: finishReason(choice.reason),
    ...(choice.reason?.kind === 'stop' && choice.reason.stop !== undefined
      ? { stop_reason: choice.reason.stop }
      : {}),
  };
}
