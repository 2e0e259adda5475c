/**
 * The script of a worker thread, in Node and in browsers. A worker with shared memory follows the ring
 * of commands; one with a private memory answers messages.
 */

import type { WorkerReply, WorkerStart } from './pool/protocol.ts';
import { servePrivateMemory } from './pool/serve-private.ts';
import { serveSharedMemory } from './pool/serve-shared.ts';

/** The part of a Node `MessagePort` and of a browser's worker scope that is used. */
interface Port {
  postMessage(message: WorkerReply, transfer?: ArrayBuffer[]): void;
  addEventListener(type: 'message', listener: (event: MessageEvent) => void): void;
  start?(): void;
}

/** In Node the port lives in a built-in module, which a browser must not try to import. */
function ownPort(): Port {
  const builtin = globalThis.process?.getBuiltinModule?.('node:worker_threads');
  return (builtin?.parentPort ?? globalThis) as unknown as Port;
}

const port = ownPort();

function guarded(work: () => void): void {
  try {
    work();
  } catch (error) {
    const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
    port.postMessage({ kind: 'crash', message });
  }
}

let answer: ((request: never) => void) | undefined;
port.addEventListener('message', ({ data }) =>
  guarded(() => {
    if (answer) {
      answer(data as never);
      return;
    }
    const start = data as WorkerStart;
    if (start.memory) {
      serveSharedMemory(start, start.memory, (reply) => port.postMessage(reply));
    } else {
      answer = servePrivateMemory(start, (reply, transfer) => port.postMessage(reply, transfer));
    }
  }),
);
port.start?.();
