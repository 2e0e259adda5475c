/** The engine: answers the page's tasks. What uses the device runs alone; a new task ends the old. */

import { errorMap, runCaseTask } from './case-tasks.ts';
import { ceilings } from './ceilings.ts';
import { chat } from './chat/chat.ts';
import { loadChatModel } from './chat/model.ts';
import { decode } from './decode/loop.ts';
import { detect } from './detect.ts';
import { open } from './open.ts';
import type { FromEngine, PlainError, TaskName, Tasks, ToEngine } from './protocol.ts';
import { countCases, selfTest } from './self-test.ts';
import type { TaskContext } from './session.ts';
import { Turns } from './turns.ts';

type Handler<Name extends TaskName> = (
  args: Tasks[Name]['args'],
  context: TaskContext<Tasks[Name]['event']>,
) => Promise<Tasks[Name]['result']>;

const handlers: { readonly [Name in TaskName]: Handler<Name> } = {
  detect,
  open,
  ceilings,
  countCases,
  selfTest,
  runCase: runCaseTask,
  errorMap,
  loadChatModel,
  chat,
  decode,
};

/** These touch no device, so they answer beside whatever runs. */
const independent: ReadonlySet<TaskName> = new Set<TaskName>(['detect', 'countCases', 'errorMap']);

const turns = new Turns();
const aborts = new Map<number, AbortController>();

const send = (message: FromEngine) => globalThis.postMessage(message);

async function answer(id: number, task: TaskName, args: unknown): Promise<void> {
  const abort = new AbortController();
  aborts.set(id, abort);
  const end = independent.has(task) ? undefined : await turns.take(abort);
  try {
    abort.signal.throwIfAborted();
    const handler = handlers[task] as (args: unknown, context: TaskContext<unknown>) => unknown;
    const emit = (event: unknown) => send({ id, event });
    send({ id, result: await handler(args, { signal: abort.signal, emit }) });
  } catch (error) {
    send({ id, error: plain(error) });
  } finally {
    aborts.delete(id);
    end?.();
  }
}

function plain(error: unknown): PlainError {
  if (error instanceof Error) return { name: error.name, message: error.message };
  return { name: 'Error', message: String(error) };
}

globalThis.onmessage = ({ data }: MessageEvent<ToEngine>) => {
  if ('abort' in data) aborts.get(data.abort)?.abort();
  else void answer(data.id, data.task, data.args);
};
