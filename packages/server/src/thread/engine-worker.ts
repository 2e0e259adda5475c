import { parentPort, workerData } from 'node:worker_threads';
import { Engine, type EngineEvent, EngineLoop, type RequestOptions } from '@flash-mla/engine';
import type { BackendRequest } from '../generate/backend.ts';
import { WorkerGrammars } from '../grammar/worker-grammars.ts';
import { type LoadedRunner, loadRunner } from '../model/checkpoint-runner.ts';
import type { EngineThreadData, FromEngine, SentEvent, ToEngine } from './messages.ts';
import { sendError } from './sent-error.ts';

// The script of the engine's thread: the model, its K/V and the engine live here.

const port = parentPort;
if (port === null) throw new Error('this file is the script of a worker');
const data = workerData as EngineThreadData;
const send = (message: FromEngine) => port.postMessage(message);

/** Gives up the model's device. */
let release: LoadedRunner['dispose'] = async () => {};
const loop = await load().catch((error: unknown) => {
  send({ kind: 'failed', error: sendError(error) });
  return undefined;
});
const grammars = new WorkerGrammars(data.vocabulary);

async function load(): Promise<EngineLoop> {
  const { hisparse: wanted, maxModelLength, maxTokens, model, operations } = data;
  const { maxRunning = 32 } = data.engine;
  const sizes = { maxModelLength, maxTokens, maxRunning, ...(wanted && { hisparse: wanted }) };
  const loaded = await loadRunner(model, sizes, operations);
  const { hisparse, pageSize, runner, totalPages } = loaded;
  release = loaded.dispose;
  // Tokens are drawn on the host, so the next step cannot begin before this one's are known.
  const own = { maxModelLength, pageSize, totalPages, hisparse };
  const options = { overlap: false, ...data.engine, ...own };
  const made = new EngineLoop(new Engine(runner, options), {
    onFailure: (error) => send({ kind: 'stopped', error: sendError(error) }),
    onStep: () => send({ kind: 'stats', stats: made.stats }),
  });
  send({ kind: 'ready', stats: made.stats });
  return made;
}

function sent(event: EngineEvent): SentEvent {
  if (event.kind === 'token') return event;
  const { outcome, ...rest } = event;
  const { reason } = outcome;
  return reason === 'error'
    ? { ...rest, reason, error: sendError(outcome.error) }
    : { ...rest, reason };
}

async function submit(engine: EngineLoop, request: BackendRequest): Promise<void> {
  const { grammar, grammarAfter, ...options } = request;
  const constraint = grammar && (await grammars.prepare(grammar, grammarAfter));
  const whole: RequestOptions = { ...options, ...(constraint && { constraint }) };
  engine.submit(whole, (events) =>
    send({ kind: 'events', id: request.id, events: events.map(sent) }),
  );
}

async function reply(call: number, work: Promise<void>): Promise<void> {
  await work.then(
    () => send({ kind: 'reply', call }),
    (error: unknown) => send({ kind: 'reply', call, error: sendError(error) }),
  );
}

if (loop !== undefined)
  port.on('message', (message: ToEngine) => {
    if (message.kind === 'submit') void reply(message.call, submit(loop, message.request));
    else if (message.kind === 'cancel') loop.cancel(message.id);
    else if (message.kind === 'finish') loop.finish(message.id, message.index);
    else if (message.kind === 'ping') void reply(message.call, Promise.resolve());
    else
      void reply(
        message.call,
        loop
          .close()
          .then(() => grammars.close())
          .then(release),
      );
  });
