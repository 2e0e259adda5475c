/** The case file as the page sees it. */

import { signal } from '@preact/signals';
import type {
  CaseDetails,
  ErrorMapData,
  ErrorMapRequest,
  RunCaseRequest,
} from '../engine/case-tasks.ts';
import { EngineError } from '../engine/client.ts';
import { engine } from '../state.ts';

export const running = signal('');
export const details = signal<CaseDetails | undefined>(undefined);
export const failure = signal<unknown>(undefined);
/** What the map shows. */
export const selection = signal<ErrorMapRequest>({
  ...{ source: 'device', against: 'reference', request: 0, query: 0 },
});
export const map = signal<ErrorMapData | undefined>(undefined);

/** Runs a file on the open device and shows the map of its first query. */
export async function runCase(request: RunCaseRequest): Promise<void> {
  running.value = 'file' in request ? request.file.name : request.bundled;
  failure.value = undefined;
  details.value = undefined;
  map.value = undefined;
  try {
    const ran = await engine.call('runCase', request);
    details.value = ran;
    await select(ran.initial);
  } catch (error) {
    if (!EngineError.isAbort(error)) failure.value = error;
  }
  running.value = '';
}

export async function select(patch: Partial<ErrorMapRequest>): Promise<void> {
  const wanted = { ...selection.value, ...patch };
  selection.value = wanted;
  try {
    const data = await engine.call('errorMap', wanted);
    if (selection.value === wanted) map.value = data;
  } catch (error) {
    failure.value = error;
  }
}
