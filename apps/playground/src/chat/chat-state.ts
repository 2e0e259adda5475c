/** The conversation as the page sees it. */

import { effect, signal } from '@preact/signals';
import type { AnswerPart, ChatMessage } from 'flash-mla/models';
import type { ChatEnd, ChatTimes } from '../engine/chat/chat.ts';
import type { ChatModel, LoadProgress, ModelSource } from '../engine/chat/model.ts';
import { EngineError } from '../engine/client.ts';
import { deviceState, engine, settings } from '../state.ts';

/** A message of the user, or an answer as far as it has come. */
export type Turn =
  | { readonly role: 'user'; readonly text: string }
  | {
      readonly role: 'assistant';
      readonly parts: readonly AnswerPart[];
      /** Absent while it is being written. */
      readonly ended?: ChatEnd['reason'] | 'failed';
    };

/** What is being done. */
export type Phase = 'idle' | 'loading' | 'answering';

export const source = signal<ModelSource>({ kind: 'demo' });
/** Once it is on the open device. */
export const model = signal<ChatModel | undefined>(undefined);
export const progress = signal<LoadProgress | undefined>(undefined);
export const phase = signal<Phase>('idle');
export const turns = signal<readonly Turn[]>([]);
/** Of the last answer. */
export const times = signal<ChatTimes | undefined>(undefined);
export const failure = signal<unknown>(undefined);

let abort: AbortController | undefined;

export function stop(): void {
  abort?.abort();
}

/** Ends the answer and begins a new conversation. */
export function clear(): void {
  stop();
  turns.value = [];
  times.value = undefined;
  failure.value = undefined;
}

/** Another model: what was said to the one before is gone with it. */
export function chooseModel(next: ModelSource): void {
  clear();
  source.value = next;
  model.value = undefined;
}

/** Sends a message, and loads the model first where it is not there. */
export async function send(text: string): Promise<void> {
  if (phase.value !== 'idle') return;
  const own = new AbortController();
  abort = own;
  failure.value = undefined;
  times.value = undefined;
  const before = turns.value;
  const asked: readonly Turn[] = [...before, { role: 'user', text }];
  turns.value = [...asked, { role: 'assistant', parts: [] }];
  // A conversation that was cleared meanwhile takes nothing more.
  const isCurrent = () => turns.value.length > asked.length && abort === own;
  const end = (ended: ChatEnd['reason'] | 'failed') => {
    if (isCurrent()) update((answer) => ({ ...answer, ended }));
  };
  try {
    if (model.value === undefined) await load(own.signal);
    own.signal.throwIfAborted();
    phase.value = 'answering';
    const { temperature, answer: maxTokens, seed } = settings.value;
    const { reason } = await engine.call(
      'chat',
      { messages: messagesOf(asked), temperature, maxTokens, seed: seed || undefined },
      {
        signal: own.signal,
        onEvent({ parts, ...now }) {
          if (!isCurrent()) return;
          times.value = now;
          update((answer) => ({ ...answer, parts: joined(answer.parts, parts) }));
        },
      },
    );
    end(reason);
  } catch (error) {
    const isAbort = EngineError.isAbort(error);
    end(isAbort ? 'stopped' : 'failed');
    if (!isAbort) failure.value = error;
  }
  progress.value = undefined;
  phase.value = 'idle';
}

async function load(signal: AbortSignal): Promise<void> {
  phase.value = 'loading';
  progress.value = undefined;
  model.value = await engine.call('loadChatModel', source.value, {
    signal,
    onEvent: (event) => {
      progress.value = event;
    },
  });
}

type Answer = Extract<Turn, { role: 'assistant' }>;

/** Changes the answer that is being written. */
function update(change: (answer: Answer) => Answer): void {
  const last = turns.value.at(-1);
  if (last?.role === 'assistant') turns.value = [...turns.value.slice(0, -1), change(last)];
}

/** Parts in their order; neighbours of one kind are one. */
export function joined(parts: readonly AnswerPart[], more: readonly AnswerPart[]): AnswerPart[] {
  const all = [...parts];
  for (const part of more) {
    const last = all.at(-1);
    if (last?.kind === part.kind) all[all.length - 1] = { ...last, text: last.text + part.text };
    else all.push(part);
  }
  return all;
}

/** What the model is told: thoughts are not part of the conversation, and a failed answer was never given. */
export function messagesOf(all: readonly Turn[]): ChatMessage[] {
  return all.flatMap((turn, i): ChatMessage[] => {
    const next = all[i + 1];
    if (turn.role === 'user') {
      const isLost = next?.role === 'assistant' && answerOf(next) === '';
      return isLost ? [] : [{ role: 'user', content: turn.text }];
    }
    const content = answerOf(turn);
    return content === '' ? [] : [{ role: 'assistant', content }];
  });
}

function answerOf({ parts }: Answer): string {
  const said = parts.filter(({ kind }) => kind === 'answer').map(({ text }) => text);
  return said.join('').trim();
}

// Another device has no model yet.
effect(() => {
  if (deviceState.value.kind !== 'opening') return;
  model.value = undefined;
  times.value = undefined;
});
