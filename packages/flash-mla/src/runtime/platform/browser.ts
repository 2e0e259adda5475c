/** The browser's side of the `#platform` import; see node.ts for what each function promises. */

import type { NativeFinding } from '../cpu/native/finding.ts';

export function hardwareThreads(): number {
  return globalThis.navigator?.hardwareConcurrency ?? 1;
}

export function processorName(): string {
  return 'CPU';
}

/** Browsers decide for themselves. */
export function allowRelaxedSimd(): void {}

/** A page runs no machine code of its own. */
export async function findNative(): Promise<NativeFinding> {
  return { kind: 'wasm', bf16Products: false, passedOver: [], start: undefined, pages: undefined };
}

export interface WorkerHandle {
  post(message: unknown, transfer?: ArrayBuffer[]): void;
  listen(onMessage: (message: unknown) => void, onDeath: (error: Error) => void): void;
  hold(alive: boolean): void;
  terminate(): Promise<void>;
}

export interface CpuWorkers {
  readonly source: string;
  readonly remedy: string;
  start(): WorkerHandle;
}

export const missingModuleRemedy =
  'The server did not give a module of flash-mla that was asked for: load the page again, since a newer ' +
  'release may have replaced it, or start the development server again. ' +
  'docs/bundlers.md of flash-mla says what each bundler needs.';

export const wasmPolicyRemedy =
  "Let the page compile WebAssembly: script-src 'wasm-unsafe-eval' in its Content-Security-Policy.";

/** The script as a file where there is one, otherwise its text, which every bundle has. */
export async function findCpuWorkers(): Promise<CpuWorkers> {
  const file = cpuWorkerFile();
  if (file) {
    return {
      source: file,
      remedy:
        'Serve this file as JavaScript, and let the page start it: ' +
        "worker-src 'self' in its Content-Security-Policy.",
      start: () => startCpuWorker(file),
    };
  }
  const inline = await inlineScriptUrl();
  return {
    source: 'a worker from a blob: URL',
    remedy:
      'Let the page start such workers: worker-src blob: in its Content-Security-Policy, or serve ' +
      'flash-mla so that its worker stays a file, as docs/bundlers.md of flash-mla says.',
    start: () => startCpuWorker(inline),
  };
}

let inlineScript: string | undefined;

/** One URL for the life of the page: threads may start at any time. */
async function inlineScriptUrl(): Promise<string> {
  if (inlineScript === undefined) {
    const { script } = await import('../../../wasm/cpu-worker.js');
    inlineScript = URL.createObjectURL(new Blob([script], { type: 'text/javascript' }));
  }
  return inlineScript;
}

/** Where the script is from the module that asks for it, when nobody moved either. */
const scriptPath = '/cpu/worker.js';
const ownPath = '/dist/runtime/platform/browser.js';

/**
 * The file with the worker's script; undefined where a bundler took this module elsewhere and left the file
 * behind. A page whose policy forbids blob: URLs needs the file.
 */
export function cpuWorkerFile(
  // Bundlers that know assets recognise them by exactly this expression, and rewrite it.
  locate = () => new URL('../cpu/worker.js', import.meta.url),
  own: string | undefined = import.meta.url,
  origin: string | undefined = globalThis.location?.origin,
): string | undefined {
  // In a script that is no module, `import.meta.url` is nothing.
  if (!own) return undefined;
  const file = locate();
  // A worker of another origin is refused.
  if (file.origin !== origin) return undefined;
  const isRewritten = !file.pathname.endsWith(scriptPath);
  return isRewritten || new URL(own).pathname.endsWith(ownPath) ? file.href : undefined;
}

function startCpuWorker(url: string): WorkerHandle {
  const worker = new Worker(url, { type: 'module', name: 'flash-mla' });
  return {
    post: (message, transfer) => worker.postMessage(message, transfer ?? []),
    listen(onMessage, onDeath) {
      worker.onmessage = ({ data }) => onMessage(data);
      // Browsers do not say why a script could not be loaded.
      worker.onerror = ({ message }) => onDeath(new Error(message || 'it cannot be loaded'));
    },
    hold() {},
    async terminate() {
      worker.terminate();
    },
  };
}

export interface DawnSearch {
  readonly gpu?: GPU;
  readonly looked: readonly string[];
  readonly remedy: string;
  readonly cause?: unknown;
}

/** A browser has its own WebGPU or none. */
export async function findDawn(_options: readonly string[]): Promise<DawnSearch> {
  return {
    looked: [],
    remedy:
      'Use a browser with WebGPU, over https or on localhost, and check that it is not switched off.',
  };
}
