/** The self-test as the page sees it. */

import { effect, signal } from '@preact/signals';
import { EngineError } from '../engine/client.ts';
import type { CaseOutcome } from '../engine/self-test.ts';
import { engine, settings } from '../state.ts';

export interface Progress {
  readonly done: number;
  readonly total: number;
  /** The case that runs now; empty at the end. */
  readonly name: string;
}

export const isRunning = signal(false);
export const progress = signal<Progress | undefined>(undefined);
export const outcomes = signal<readonly CaseOutcome[]>([]);
/** Seconds, once all have run. */
export const finished = signal<number | undefined>(undefined);
export const failure = signal<unknown>(undefined);
/** Cases that the settings mean. */
export const selected = signal<number | undefined>(undefined);

let abort: AbortController | undefined;

export function stopTest(): void {
  abort?.abort();
}

export async function startTest(): Promise<void> {
  abort?.abort();
  const own = new AbortController();
  abort = own;
  isRunning.value = true;
  progress.value = undefined;
  outcomes.value = [];
  finished.value = undefined;
  failure.value = undefined;
  const { suite, filter } = settings.value;
  try {
    const { seconds } = await engine.call(
      'selfTest',
      { suite, filter },
      {
        signal: own.signal,
        onEvent(event) {
          if (abort !== own) return;
          if (event.kind === 'begins') progress.value = event;
          else outcomes.value = [...outcomes.value, event.outcome];
        },
      },
    );
    finished.value = seconds;
  } catch (error) {
    if (abort === own && !EngineError.isAbort(error)) failure.value = error;
  }
  if (abort === own) isRunning.value = false;
}

// How many cases a filter leaves, as it is typed.
effect(() => {
  const { suite, filter } = settings.value;
  engine.call('countCases', { suite, filter }).then(
    (count) => {
      const now = settings.value;
      if (now.suite === suite && now.filter === filter) selected.value = count;
    },
    (error: unknown) => {
      failure.value = error;
    },
  );
});
