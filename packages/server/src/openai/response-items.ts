import type { AnswerItem } from '../generate/answer-items.ts';
import type { FinishReason } from '../generate/request.ts';

/** An item in the form of the API. */
export function itemBody(item: AnswerItem, status: 'in_progress' | 'completed' | 'incomplete') {
  if (item.kind === 'reasoning')
    return {
      id: itemId(item),
      type: 'reasoning',
      status,
      summary: [],
      content: item.text === '' ? [] : [{ type: 'reasoning_text', text: item.text }],
    };
  if (item.kind === 'message')
    return {
      id: itemId(item),
      type: 'message',
      role: 'assistant',
      status,
      content: item.text === '' && status === 'in_progress' ? [] : [textPart(item.text)],
    };
  return {
    id: itemId(item),
    type: 'function_call',
    status,
    call_id: item.callId ?? `call_${item.key}`,
    name: item.name,
    arguments: item.text,
  };
}

export function textPart(text: string) {
  return { type: 'output_text', text, annotations: [], logprobs: [] };
}

/** `incomplete` where the answer was cut. */
export function statusOf(reason: FinishReason): 'completed' | 'incomplete' {
  return reason.kind === 'length' ? 'incomplete' : 'completed';
}

export function itemId({ key, kind }: AnswerItem): string {
  return `${{ call: 'fc', message: 'msg', reasoning: 'rs' }[kind]}_${key}`;
}
