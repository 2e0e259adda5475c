import { commandNames } from '../commands/command-names.ts';
import { headBytes } from '../commands/define-command.ts';
import { instantiate, type Kernels } from '../kernels.ts';
import {
  type DeviceFault,
  heapBase,
  type PrivateRequest,
  slotAddress,
  type WorkerReply,
  type WorkerStart,
  word,
} from './protocol.ts';
import { runCommand } from './run-command.ts';

type RunRequest = Extract<PrivateRequest, { kind: 'run' }>;

/** Prepares a worker that owns its memory; returns how it answers each request. */
export function servePrivateMemory(
  start: WorkerStart,
  reply: (message: WorkerReply, transfer?: ArrayBuffer[]) => void,
): (request: PrivateRequest) => void {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: start.maximumPages });
  const kernels = instantiate<Kernels>(start.module, memory, { index: 0, workers: 1 });
  const names = commandNames(start.module);
  const command = slotAddress(0);
  reply({ kind: 'ready' });

  function run({ operation, workspace, descriptor }: RunRequest): DeviceFault | undefined {
    const words = new Int32Array(memory.buffer, 0, heapBase / 4);
    const slot = command / 4;
    words.fill(0, slot, slot + headBytes / 4);
    words[slot + word.workspace] = workspace;
    new Uint8Array(memory.buffer).set(descriptor, command + headBytes);
    runCommand(kernels, names[operation], command);
    const code = words[slot + word.errorCode] as number;
    if (code === 0) return undefined;
    return {
      code,
      row: words[slot + word.errorRow] as number,
      column: words[slot + word.errorColumn] as number,
      value: words[slot + word.errorValue] as number,
    };
  }

  return (request) => {
    switch (request.kind) {
      case 'run': {
        const fault = run(request);
        reply(fault ? { kind: 'reply', fault } : { kind: 'reply' });
        return;
      }
      case 'write':
        new Uint8Array(memory.buffer).set(request.bytes, request.address);
        reply({ kind: 'reply' });
        return;
      case 'read': {
        const { address, byteLength } = request;
        const bytes = new Uint8Array(memory.buffer, address, byteLength).slice();
        reply({ kind: 'reply', bytes }, [bytes.buffer]);
        return;
      }
      case 'grow':
        memory.grow(request.pages);
        reply({ kind: 'reply' });
        return;
    }
  };
}
