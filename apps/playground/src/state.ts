/** What the page knows, and the one engine that it asks. */

import { effect, signal } from '@preact/signals';
import type { Ceilings } from './engine/ceilings.ts';
import { Engine, EngineError } from './engine/client.ts';
import type { Detection } from './engine/detect.ts';
import type { OpenedDevice } from './engine/open.ts';
import { readSettings, type Settings, writeSettings } from './settings/settings.ts';

export const engine = new Engine();

const linked = readSettings(location.search);
export const settings = signal<Settings>(linked.settings);
/** What the link that opened the page says that means nothing. */
export const linkProblems: readonly string[] = linked.problems;

export function change(patch: Partial<Settings>): void {
  settings.value = { ...settings.value, ...patch };
}

// The address follows, a moment later: browsers count changes, and a slider makes many.
let pending: ReturnType<typeof setTimeout> | undefined;
effect(() => {
  const query = writeSettings(settings.value);
  clearTimeout(pending);
  pending = setTimeout(() => {
    history.replaceState(null, '', `${location.pathname}${query}${location.hash}`);
  }, 200);
});

export const detection = signal<Detection | undefined>(undefined);

export type DeviceState =
  | { readonly kind: 'opening'; readonly id: string }
  | { readonly kind: 'open'; readonly device: OpenedDevice }
  | { readonly kind: 'failed'; readonly id: string; readonly error: unknown };

export const deviceState = signal<DeviceState>({ kind: 'opening', id: 'auto' });
/** Of the open device, once measured. */
export const ceilings = signal<Ceilings | undefined>(undefined);

/** The device that the settings mean. */
export function chosenDevice(): string {
  const { device } = settings.value;
  return device === 'auto' ? (detection.value?.best ?? 'cpu') : device;
}

engine.onDeviceLost = (error) => {
  const state = deviceState.value;
  if (state.kind !== 'open') return;
  deviceState.value = { kind: 'failed', id: state.device.id, error };
};

/** Opens the device that the settings say; whatever ran on the one before ends. */
export async function openChosen(): Promise<void> {
  const id = chosenDevice();
  const { threads, limits } = settings.value;
  deviceState.value = { kind: 'opening', id };
  ceilings.value = undefined;
  const request = {
    id,
    threads: threads === 0 ? undefined : threads,
    defaultLimits: limits === 'default',
  };
  try {
    deviceState.value = { kind: 'open', device: await engine.call('open', request) };
  } catch (error) {
    // Another choice came meanwhile, and it decides what is shown.
    if (!EngineError.isAbort(error)) deviceState.value = { kind: 'failed', id, error };
  }
}

/** Looks for devices and opens the one that the settings mean. */
export async function start(): Promise<void> {
  try {
    detection.value = await engine.call('detect', null);
  } catch (error) {
    deviceState.value = { kind: 'failed', id: chosenDevice(), error };
    return;
  }
  await openChosen();
}
