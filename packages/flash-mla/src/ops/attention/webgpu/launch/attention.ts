import { InvalidArgumentError } from '@flash-mla/core';
import type { TensorView } from '../../../../runtime/tensor/view.ts';
import { wholeBuffer, withInput } from '../../../../runtime/webgpu/launch/buffers.ts';
import type { Copy, LaunchTarget } from '../../../../runtime/webgpu/runtime/runtime.ts';
import {
  type ByteRange,
  bindWhole,
  type RowWindows,
  rangeOf,
} from '../../../../runtime/webgpu/runtime/views.ts';
import type { AttentionConfig } from '../config.ts';
import { attentionKernel, attentionName } from '../kernel.ts';

/** 1 / ln 2: kernels work in base 2. */
export const log2e = Math.LOG2E;

/** The inputs and parameters of one attention launch, gathered by an operation. */
export interface AttentionLaunch {
  readonly config: AttentionConfig;
  readonly query: TensorView;
  readonly keys: RowWindows;
  readonly values?: RowWindows;
  /** i32 inputs (and the sink's bits), by name. */
  readonly lists: Readonly<Record<string, TensorView>>;
  /** What the kernel writes, by binding. */
  readonly outputs: Readonly<Record<string, GPUBufferBinding>>;
  readonly params: Readonly<Record<string, number>>;
  readonly deviceParams?: Readonly<Record<string, ByteRange>>;
  readonly workgroups: readonly [number, number, number];
}

/** Binds what the kernel needs and enqueues it. */
export function launchAttention(runtime: LaunchTarget, launch: AttentionLaunch): void {
  const { config } = launch;
  const storage: Record<string, GPUBufferBinding> = { ...launch.outputs };
  const params: Record<string, number> = { ...launch.params };
  bindWindows('keys', config.keyAlignment, launch.keys, storage, params);
  if (launch.values && config.values) {
    bindWindows('values', config.values.alignment, launch.values, storage, params);
  }
  withInput(runtime, 'q', rangeOf(launch.query), (query) => {
    storage.queries = query.resource;
    params.query = query.firstByte / (config.query === 'e4m3' ? 1 : 2);
    withLists(runtime, launch, storage, params, (copies) => {
      runtime.dispatch({
        name: attentionName(config),
        source: () => attentionKernel(config),
        config,
        params,
        storage,
        workgroups: launch.workgroups,
        copies,
        deviceParams: launch.deviceParams ?? {},
      });
    });
  });
}

/** Binds each list, and copies those that have to share a binding side by side into one buffer. */
function withLists(
  runtime: LaunchTarget,
  { config, lists }: AttentionLaunch,
  storage: Record<string, GPUBufferBinding>,
  params: Record<string, number>,
  enqueue: (copies: readonly Copy[]) => void,
): void {
  const packed: { name: string; range: ByteRange }[] = [];
  for (const [name, view] of Object.entries(lists)) {
    const range = rangeOf(view);
    if (config.packed.includes(name)) {
      packed.push({ name, range });
      continue;
    }
    const bound = bindWhole(name, range, runtime.capabilities);
    storage[name] = bound.resource;
    params[name] = bound.firstByte / 4;
  }
  if (packed.length === 0) {
    enqueue([]);
    return;
  }
  const bytes = packed.reduce((sum, { range }) => sum + range.end - range.begin, 0);
  runtime.withScratch(bytes, (scratch) => {
    const shared = wholeBuffer(scratch);
    const copies: Copy[] = [];
    let offset = 0;
    for (const { name, range } of packed) {
      params[name] = offset / 4;
      copies.push({ source: range, target: shared.buffer, targetOffset: offset });
      offset += range.end - range.begin;
    }
    storage.lists = shared;
    enqueue(copies);
  });
}

/** Addresses in a kernel are 32-bit. */
const mostUnits = 2 ** 32 - 1;

function bindWindows(
  name: 'keys' | 'values',
  alignment: number,
  windows: RowWindows,
  storage: Record<string, GPUBufferBinding>,
  params: Record<string, number>,
): void {
  windows.resources.forEach((resource, i) => {
    storage[`${name}${i}`] = resource;
    if (i + 1 < windows.resources.length) {
      // Bindings hold words where addresses count bytes.
      params[`${name}End${i}`] = (windows.ends[i] as number) / Math.max(4, alignment);
    }
  });
  params[name] = (windows.starts[0] as number) / alignment;
  const units = (windows.ends.at(-1) ?? 0) / alignment;
  if (units <= mostUnits) return;
  throw new InvalidArgumentError(
    name === 'keys' ? 'kCache' : 'vCache',
    `at most ${mostUnits * alignment} bytes with rows at multiples of ${alignment} bytes`,
    `${units * alignment}`,
    alignment < 16 ? 'Begin rows at multiples of 16 bytes.' : 'Use a smaller cache.',
  );
}
