import type { TokenLogprobs } from '@flash-mla/engine';
import type { OutputPart } from '../output/parts.ts';
import type { FinishReason, GenerationEvent, Usage } from './request.ts';

export interface CollectedCall {
  readonly id: string | undefined;
  readonly name: string;
  arguments: string;
}

/** A whole answer. */
export interface CollectedChoice {
  text: string;
  reasoning: string;
  readonly calls: CollectedCall[];
  readonly logprobs: TokenLogprobs[];
  readonly tokens: number[];
  /** All of it in the order in which it came. */
  readonly parts: OutputPart[];
  reason: FinishReason | undefined;
  usage: Usage | undefined;
}

export function emptyChoice(): CollectedChoice {
  return {
    text: '',
    reasoning: '',
    calls: [],
    logprobs: [],
    tokens: [],
    parts: [],
    reason: undefined,
    usage: undefined,
  };
}

/** Adds an event to its choice. */
export function collect(choice: CollectedChoice, event: GenerationEvent): void {
  if (event.kind === 'finish') {
    choice.reason = event.reason;
    choice.usage = event.usage;
    return;
  }
  choice.logprobs.push(...event.logprobs);
  choice.tokens.push(...event.tokens);
  choice.parts.push(...event.parts);
  for (const part of event.parts) {
    if (part.kind === 'text') choice.text += part.text;
    else if (part.kind === 'reasoning') choice.reasoning += part.text;
    else if (part.kind === 'call')
      choice.calls.push({ id: part.id, name: part.name, arguments: '' });
    else {
      const call = choice.calls[part.call];
      if (call !== undefined) call.arguments += part.text;
    }
  }
}

/** The tokens of all choices; the prompts count once each. */
export function totalUsage(usages: readonly Usage[], choicesPerPrompt: number): Usage {
  const sum = (count: (usage: Usage) => number, list = usages) =>
    list.reduce((total, usage) => total + count(usage), 0);
  const prompts = usages.filter((_, i) => i % choicesPerPrompt === 0);
  return {
    promptTokens: sum(({ promptTokens }) => promptTokens, prompts),
    cachedTokens: sum(({ cachedTokens }) => cachedTokens, prompts),
    outputTokens: sum(({ outputTokens }) => outputTokens),
    reasoningTokens: sum(({ reasoningTokens }) => reasoningTokens),
  };
}
