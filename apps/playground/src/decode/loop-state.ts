/** The decode loop as the page sees it: whether it runs, its last sample, and its points on the plot. */

import { computed, effect, signal } from '@preact/signals';
import { EngineError } from '../engine/client.ts';
import type { LoopSample, LoopSettings } from '../engine/decode/settings.ts';
import { ceilings, deviceState, engine, settings } from '../state.ts';

/** One configuration on the roofline. */
export interface Point {
  readonly settings: LoopSettings;
  /** FLOP per byte, FLOP per second, bytes per second. */
  readonly intensity: number;
  readonly flopsPerSecond: number;
  readonly bytesPerSecond: number;
  readonly tokensPerSecond: number;
}

export type LoopPhase = 'idle' | 'measuring' | 'filling' | 'running';

export const phase = signal<LoopPhase>('idle');
export const sample = signal<LoopSample | undefined>(undefined);
export const failure = signal<unknown>(undefined);
/** Configurations that ran before on the open device, the newest last. */
export const history = signal<readonly Point[]>([]);

/** The loop that the sliders mean. */
export const loopSettings = computed((): LoopSettings => {
  const { layout, batch, heads, tokens, spread, topk, page } = settings.value;
  return { layout, batch, heads, tokens, spread: spread / 100, topk, page };
});

/** The settings that {@link sample} is of. */
const sampled = signal<LoopSettings | undefined>(undefined);

/** Where the loop stands now. */
export const point = computed((): Point | undefined => {
  const [now, of] = [sample.value, sampled.value];
  if (now === undefined || of === undefined) return undefined;
  const seconds = now.kernelMs / 1e3;
  return {
    settings: of,
    intensity: now.flops / now.bytes,
    flopsPerSecond: now.flops / seconds,
    bytesPerSecond: now.bytes / seconds,
    tokensPerSecond: now.tokensPerSecond,
  };
});

/** Tokens per second of the last samples. */
export const trend = signal<readonly number[]>([]);

const remembered = 12;
const trendLength = 240;
const isStill = matchMedia('(prefers-reduced-motion: reduce)');

let abort: AbortController | undefined;

export function stopLoop(): void {
  abort?.abort();
  abort = undefined;
  phase.value = 'idle';
}

/** Starts the loop, or starts it anew with other settings. */
export async function startLoop(): Promise<void> {
  abort?.abort();
  const own = new AbortController();
  abort = own;
  failure.value = undefined;
  const wanted = loopSettings.value;
  const { signal } = own;
  try {
    if (ceilings.value === undefined) {
      phase.value = 'measuring';
      ceilings.value = await engine.call('ceilings', null, { signal });
      if (signal.aborted) return;
    }
    phase.value = 'filling';
    let shown = 0;
    const onEvent = (next: LoopSample) => {
      if (signal.aborted) return;
      phase.value = 'running';
      // Who asked for less motion gets a figure a second.
      if (isStill.matches && performance.now() - shown < 1000) return;
      shown = performance.now();
      if (sampled.value !== wanted) {
        remember();
        trend.value = [];
      }
      trend.value = [...trend.value, next.tokensPerSecond].slice(-trendLength);
      sampled.value = wanted;
      sample.value = next;
    };
    await engine.call('decode', wanted, { signal, onEvent });
  } catch (error) {
    if (!EngineError.isAbort(error) && abort === own) failure.value = error;
  }
  // Another task took the device, or the loop failed.
  if (abort === own) {
    abort = undefined;
    phase.value = 'idle';
  }
}

/** The point of the configuration that ran until now becomes history. */
function remember(): void {
  const before = point.value;
  if (before === undefined) return;
  const key = JSON.stringify(before.settings);
  const others = history.value.filter((each) => JSON.stringify(each.settings) !== key);
  history.value = [...others, before].slice(-remembered);
}

// Sliders move a running loop, a moment after the hand has come to rest.
let timer: ReturnType<typeof setTimeout> | undefined;
let first = true;
effect(() => {
  void loopSettings.value;
  clearTimeout(timer);
  if (first) {
    first = false;
    return;
  }
  timer = setTimeout(() => {
    if (phase.value !== 'idle') void startLoop();
  }, 250);
});

// Another device has other roofs and none of these points.
effect(() => {
  if (deviceState.value.kind !== 'opening') return;
  sample.value = undefined;
  sampled.value = undefined;
  history.value = [];
  trend.value = [];
});
