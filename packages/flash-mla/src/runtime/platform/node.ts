/** What Node offers and a browser does not, behind the `#platform` import. */

import { availableParallelism, cpus } from 'node:os';
import { setFlagsFromString } from 'node:v8';
import { Worker } from 'node:worker_threads';
import type { NativeFinding } from '../cpu/native/finding.ts';
import { findVulkanDrivers } from './vulkan.ts';

/** Threads that can run side by side. */
export function hardwareThreads(): number {
  return availableParallelism();
}

/** The processor's name, for people. */
export function processorName(): string {
  return cpus()[0]?.model.trim() || 'CPU';
}

/**
 * Makes relaxed SIMD available where the engine has it but keeps it back: V8 before 11.4 (Node 20)
 * has it behind a flag that counts for modules compiled afterwards.
 */
export function allowRelaxedSimd(): void {
  setFlagsFromString('--experimental-wasm-relaxed-simd');
}

/** The machine code that runs here, or why there is none. */
export async function findNative(): Promise<NativeFinding> {
  const native = await import('../cpu/native/index.ts');
  return native.findNative(processorName());
}

/** A thread that runs the CPU backend's worker script. */
export interface WorkerHandle {
  post(message: unknown, transfer?: ArrayBuffer[]): void;
  /** Calls back for every message, and once if the thread dies by itself. */
  listen(onMessage: (message: unknown) => void, onDeath: (error: Error) => void): void;
  /** Whether the thread keeps the process alive. Without effect in a browser. */
  hold(alive: boolean): void;
  terminate(): Promise<void>;
}

/** How the threads of the CPU backend are started, and what to say where they do not start. */
export interface CpuWorkers {
  /** Where their script comes from, for messages. */
  readonly source: string;
  readonly remedy: string;
  start(): WorkerHandle;
}

/** What to do where a module of this package that is imported later is not there. */
export const missingModuleRemedy =
  'Reinstall flash-mla, or run `npm run build` in a clone of its repository. ' +
  'In a bundle, keep all of its chunks together.';

/** What to do where the kernels do not compile. */
export const wasmPolicyRemedy =
  'Use Node 20.20 or newer, without flags that switch WebAssembly off, and reinstall flash-mla.';

/** The script is text in a module, which also a bundle has, and not a file, which it may have lost. */
export async function findCpuWorkers(): Promise<CpuWorkers> {
  const { script } = await import('../../../wasm/cpu-worker.js');
  return {
    source: 'threads of node:worker_threads',
    remedy:
      'Open fewer devices at once, or with fewer `threads`, and raise the limits of the process.',
    start: () => startCpuWorker(script),
  };
}

function startCpuWorker(script: string): WorkerHandle {
  const worker = new Worker(script, { eval: true, execArgv: [], name: 'flash-mla' });
  let stopped = false;
  return {
    post: (message, transfer) => worker.postMessage(message, transfer),
    listen(onMessage, onDeath) {
      worker.on('message', onMessage);
      worker.on('error', onDeath);
      worker.on('exit', (code) => {
        if (!stopped) onDeath(new Error(`the thread ended with code ${code}`));
      });
    },
    hold(alive) {
      if (alive) worker.ref();
      else worker.unref();
    },
    async terminate() {
      stopped = true;
      // Who waits for the end may wait for nothing else.
      worker.ref();
      await worker.terminate();
    },
  };
}

/** What came of looking for Dawn: a WebGPU implementation, or what stands in its way. */
export interface DawnSearch {
  readonly gpu?: GPU;
  /** What was looked for and found, in order. */
  readonly looked: readonly string[];
  readonly remedy: string;
  readonly cause?: unknown;
}

/** The version that this library is tested with, as `peerDependencies` have it. */
export const dawnPackage = 'webgpu@0.6.2';

/**
 * Loads Dawn, which the optional package `webgpu` brings, where there is a driver that it could use.
 * Never throws.
 */
export async function findDawn(options: readonly string[]): Promise<DawnSearch> {
  const looked: string[] = [];
  const remedy =
    'Install the Vulkan driver of your GPU and the loader libvulkan.so.1, and beside flash-mla the ' +
    `optional package ${dawnPackage} (132 MB).`;
  if (process.platform === 'linux') {
    const vulkan = await findVulkanDrivers();
    looked.push(`${vulkan.looked.join(', ')}: ${vulkan.manifests.length || 'none'}`);
    if (vulkan.manifests.length === 0) return { looked, remedy };
  }
  // The name is a variable because the package's types describe WebGPU anew, beside TypeScript's own.
  const name = 'webgpu';
  try {
    const { create } = (await import(name)) as { create(options: readonly string[]): GPU };
    looked.push("the package 'webgpu' (Dawn): loaded");
    return { gpu: create(options), looked, remedy };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.split('\n')[0] : String(cause);
    looked.push(`the package 'webgpu' (Dawn): ${reason}`);
    return {
      looked,
      remedy:
        'In Node, WebGPU needs Dawn, an optional package of 132 MB that is not installed by itself: ' +
        `\`npm install ${dawnPackage}\`.`,
      cause,
    };
  }
}
