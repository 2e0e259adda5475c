/** The browser's side of the `#platform` import; see node.ts for what each function promises. */

import { InvalidArgumentError } from '../errors.ts';
import { openBlob } from './blob.ts';
import type { OpenFile } from './open-file.ts';

export async function readAsset(url: URL): Promise<Uint8Array<ArrayBuffer>> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url.href}: HTTP ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}

export function hardwareThreads(): number {
  return globalThis.navigator?.hardwareConcurrency ?? 1;
}

export function openFile(path: string | URL): Promise<OpenFile> {
  return openBlob(path);
}

export async function writeFileChunks(
  path: string | URL,
  _chunks: AsyncIterable<Uint8Array>,
): Promise<void> {
  throw new InvalidArgumentError(
    'path',
    'a file system',
    `a browser, for '${path}'`,
    'encodeSafetensors() gives the bytes for a Blob.',
  );
}

export function processorName(): string {
  return 'CPU';
}

/** Browsers decide for themselves. */
export function allowRelaxedSimd(): void {}

export interface WorkerHandle {
  post(message: unknown, transfer?: ArrayBuffer[]): void;
  listen(onMessage: (message: unknown) => void, onDeath: (error: Error) => void): void;
  hold(alive: boolean): void;
  terminate(): Promise<void>;
}

export const cpuWorkerUrl = new URL('../../dist/backends/cpu/worker.js', import.meta.url);

export function startCpuWorker(): WorkerHandle {
  // Bundlers recognise a worker by exactly this expression.
  const worker = new Worker(new URL('../../dist/backends/cpu/worker.js', import.meta.url), {
    type: 'module',
    name: 'flash-mla',
  });
  return {
    post: (message, transfer) => worker.postMessage(message, transfer ?? []),
    listen(onMessage, onDeath) {
      worker.onmessage = ({ data }) => onMessage(data);
      worker.onerror = (event) => onDeath(new Error(event.message || `${cpuWorkerUrl} failed`));
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
