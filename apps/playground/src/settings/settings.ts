/** What the user chose, as a link carries it: only what differs from the defaults is written. */

import { recordedCaseNames } from 'flash-mla/cases';

interface Field<T extends string | number> {
  readonly initial: T;
  /** The value that a link's text means; undefined: none. */
  parse(text: string): T | undefined;
  /** In words, for a link that has something else. */
  readonly expected: string;
}

function choice<const T extends string | number>(
  initial: NoInfer<T>,
  choices: readonly T[],
): Field<T> {
  return {
    initial,
    parse: (text) => choices.find((each) => String(each) === text),
    expected: choices.join(', '),
  };
}

function integer(initial: number, low: number, high: number): Field<number> {
  return {
    initial,
    parse: (text) => {
      const value = /^\d{1,6}$/.test(text) ? Number(text) : Number.NaN;
      return value >= low && value <= high ? value : undefined;
    },
    expected: `an integer from ${low} to ${high}`,
  };
}

const powers = (low: number, high: number) =>
  Array.from({ length: Math.log2(high / low) + 1 }, (_, i) => low * 2 ** i);

/** The positions of the sliders. */
export const scales = {
  batch: powers(1, 128),
  heads: powers(1, 128),
  tokens: powers(64, 32768),
  topk: powers(64, 2048),
  page: powers(16, 256),
  temperature: Array.from({ length: 16 }, (_, i) => i / 10),
  answer: powers(16, 2048),
  spread: Array.from({ length: 10 }, (_, i) => 10 * i),
} as const;

const fields = {
  device: choice('auto', ['auto', 'webgpu', 'cpu']),
  limits: choice('all', ['all', 'default']),
  /** 0: as many as the machine has. */
  threads: integer(0, 0, 64),
  temperature: choice(0, scales.temperature),
  /** Tokens of an answer of the chat, at most. */
  answer: choice(256, scales.answer),
  /** Of the chat; 0: another one each time. */
  seed: integer(0, 0, 999_999),
  layout: choice('bf16', ['bf16', 'v32', 'model1']),
  batch: choice(4, scales.batch),
  heads: choice(16, scales.heads),
  tokens: choice(1024, scales.tokens),
  spread: choice(50, scales.spread),
  topk: choice(512, scales.topk),
  page: choice(64, scales.page),
  example: choice('sparse_v32', recordedCaseNames),
  suite: choice('quick', ['quick', 'full']),
  filter: {
    initial: '',
    parse: (text: string) => (text.length <= 100 ? text : undefined),
    expected: 'at most 100 characters',
  },
} as const;

type Name = keyof typeof fields;
type ValueOf<F> = F extends Field<infer T> ? T : never;

export type Settings = { readonly [K in Name]: ValueOf<(typeof fields)[K]> };

export const initialSettings: Settings = Object.fromEntries(
  Object.entries(fields).map(([name, { initial }]) => [name, initial]),
) as never;

/** Settings of a link's query. `problems`: what it says that means nothing, in words. */
export function readSettings(query: string): { settings: Settings; problems: string[] } {
  const settings: Record<string, string | number> = { ...initialSettings };
  const problems: string[] = [];
  for (const [name, text] of new URLSearchParams(query)) {
    if (!Object.hasOwn(fields, name)) {
      problems.push(`there is no setting “${name}”`);
      continue;
    }
    const field = fields[name as Name];
    const value = field.parse(text);
    if (value === undefined) problems.push(`${name} is “${text}” instead of ${field.expected}`);
    else settings[name] = value;
  }
  return { settings: settings as Settings, problems };
}

/** The query of a link to these settings; empty where all are the defaults. */
export function writeSettings(settings: Settings): string {
  const query = new URLSearchParams();
  for (const name of Object.keys(fields) as Name[]) {
    if (settings[name] !== initialSettings[name]) query.set(name, String(settings[name]));
  }
  const text = query.toString();
  return text === '' ? '' : `?${text}`;
}
