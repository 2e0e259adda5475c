/**
 * What the page and its engine say to each other. The engine is a worker that owns the device: kernels,
 * references and random data never take the page's thread.
 */

import type { CaseDetails, ErrorMapData, ErrorMapRequest, RunCaseRequest } from './case-tasks.ts';
import type { Ceilings } from './ceilings.ts';
import type { ChatEnd, ChatEvent, ChatRequest } from './chat/chat.ts';
import type { ChatModel, LoadProgress, ModelSource } from './chat/model.ts';
import type { LoopSample, LoopSettings } from './decode/settings.ts';
import type { Detection } from './detect.ts';
import type { OpenedDevice, OpenRequest } from './open.ts';
import type { SelfTestEvent, SelfTestRequest, SelfTestSummary } from './self-test.ts';

interface Task<Args, Result, Event = never> {
  readonly args: Args;
  readonly result: Result;
  readonly event: Event;
}

/** Everything the engine can be asked for. */
export interface Tasks {
  detect: Task<null, Detection>;
  open: Task<OpenRequest, OpenedDevice>;
  ceilings: Task<null, Ceilings>;
  countCases: Task<SelfTestRequest, number>;
  selfTest: Task<SelfTestRequest, SelfTestSummary, SelfTestEvent>;
  runCase: Task<RunCaseRequest, CaseDetails>;
  errorMap: Task<ErrorMapRequest, ErrorMapData>;
  loadChatModel: Task<ModelSource, ChatModel, LoadProgress>;
  chat: Task<ChatRequest, ChatEnd, ChatEvent>;
  decode: Task<LoopSettings, null, LoopSample>;
}

export type TaskName = keyof Tasks;

export type ToEngine =
  | { readonly id: number; readonly task: TaskName; readonly args: unknown }
  | { readonly abort: number };

/** An error that has crossed from one thread to another. */
export interface PlainError {
  readonly name: string;
  readonly message: string;
}

export type FromEngine =
  | { readonly id: number; readonly event: unknown }
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: PlainError };
