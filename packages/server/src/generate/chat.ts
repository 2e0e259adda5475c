import { randomUUID } from 'node:crypto';
import type { SamplingParams } from '@flash-mla/engine';
import { apiErrorOf } from '../errors-of-engine.ts';
import type { TemplateMessage } from '../model/served-model.ts';
import type { OutputPart } from '../output/parts.ts';
import { prepareChat } from './chat-request.ts';
import type { AnswerFormat, ToolChoice, ToolDefinition } from './conversation.ts';
import type { FinishReason, GenerationEvent, Usage } from './request.ts';
import type { Generation, TextEngine } from './text-engine.ts';

export interface ChatOptions {
  /** Default: until the context is full. */
  readonly maxTokens?: number;
  /** Default: the model's own advice. */
  readonly sampling?: SamplingParams;
  /** End the answer, and are no part of it. */
  readonly stop?: readonly string[];
  readonly tools?: readonly ToolDefinition[];
  /** Default: as the model likes. */
  readonly toolChoice?: ToolChoice;
  /** What the answer has to be. Default: any text. */
  readonly format?: AnswerFormat;
  /** Variables that the model's template knows. */
  readonly variables?: Readonly<Record<string, unknown>>;
  /** Lower goes first. Default 0. */
  readonly priority?: number;
  /** Ends the answer; its reason is thrown. */
  readonly signal?: AbortSignal;
}

/** A piece of an answer, or how it ended. */
export type ChatEvent =
  | OutputPart
  | { readonly kind: 'end'; readonly reason: FinishReason['kind']; readonly usage: Usage };

/**
 * Answers a conversation, piece by piece. Leaving the loop early ends the answer.
 *
 * @throws ApiError for what the model cannot take or the engine refuses, and for failures; the signal's reason
 */
export async function* chat(
  engine: TextEngine,
  messages: readonly TemplateMessage[],
  options: ChatOptions = {},
): AsyncGenerator<ChatEvent, void, undefined> {
  const { signal } = options;
  signal?.throwIfAborted();
  const events: GenerationEvent[] = [];
  let wake = () => {};
  const generation = await start(engine, messages, options, (more) => {
    events.push(...more);
    wake();
  });
  const abort = () => generation.cancel();
  signal?.addEventListener('abort', abort);
  try {
    for (;;) {
      const event = events.shift();
      if (event === undefined)
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      else if (event.kind === 'delta') yield* event.parts;
      else {
        const { reason, usage } = event;
        signal?.throwIfAborted();
        if (reason.kind === 'error') throw apiErrorOf(reason.error);
        yield { kind: 'end', reason: reason.kind, usage };
        return;
      }
    }
  } finally {
    signal?.removeEventListener('abort', abort);
    generation.cancel();
  }
}

async function start(
  engine: TextEngine,
  messages: readonly TemplateMessage[],
  options: ChatOptions,
  listener: (events: readonly GenerationEvent[]) => void,
): Promise<Generation> {
  const { model } = engine;
  const { defaults, stopTokens } = model;
  try {
    const request = await prepareChat(model, {
      messages,
      tools: options.tools ?? [],
      toolChoice: options.toolChoice ?? { kind: 'auto' },
      parallelCalls: true,
      format: options.format ?? { kind: 'text' },
      thinking: undefined,
      variables: options.variables ?? {},
      addGenerationPrompt: true,
    });
    return await engine.start(
      {
        id: randomUUID(),
        n: 1,
        maxTokens: options.maxTokens,
        minTokens: 0,
        stop: options.stop ?? [],
        stopTokens,
        includeStop: false,
        skipSpecialTokens: true,
        sampling: options.sampling ?? defaults,
        priority: options.priority ?? 0,
        tenant: '',
        ...request,
      },
      listener,
    );
  } catch (error) {
    throw apiErrorOf(error);
  }
}
