import type { CommandModule } from './context.ts';

/** A command by name: its line in the help, and where its file is. */
export interface CommandEntry {
  readonly summary: string;
  load(): Promise<CommandModule>;
}

/** Adding a command adds a file and one line here. The order is that of the help. */
export const commands: Readonly<Record<string, CommandEntry>> = {
  demo: {
    summary: 'decode the bundled case files, then a paged decode loop, then a tale',
    load: () => import('./commands/demo.ts'),
  },
  generate: {
    summary: 'let a language model go on with a prompt',
    load: () => import('./commands/generate.ts'),
  },
  chat: {
    summary: 'converse with a language model',
    load: () => import('./commands/chat.ts'),
  },
  serve: {
    summary: 'serve a language model over HTTP: OpenAI’s protocol, a page to chat on',
    load: () => import('./commands/serve.ts'),
  },
  check: {
    summary: 'hold a language model to recorded answers',
    load: () => import('./commands/check.ts'),
  },
  estimate: {
    summary: 'what a language model needs and how fast it can be, before loading it',
    load: () => import('./commands/estimate.ts'),
  },
  run: {
    summary: 'run case files and compare with the answers they hold',
    load: () => import('./commands/run.ts'),
  },
  selftest: {
    summary: 'hold a device to the float64 reference',
    load: () => import('./commands/selftest.ts'),
  },
  bench: {
    summary: 'measure an operation, or a suite of problems',
    load: () => import('./commands/bench.ts'),
  },
  'bench-model': {
    summary: 'measure the steps of a language model with random weights',
    load: () => import('./commands/bench-model.ts'),
  },
  'bench-hisparse': {
    summary: 'measure HiSparse: as many sequences as memory holds, with it and without',
    load: () => import('./commands/bench-hisparse.ts'),
  },
  'bench-serve': {
    summary: 'measure a server under load: latencies, tokens per second, goodput',
    load: () => import('./commands/bench-serve.ts'),
  },
  inspect: {
    summary: 'the CUDA or WebGPU kernels that are chosen for a problem',
    load: () => import('./commands/inspect.ts'),
  },
  doctor: {
    summary: 'what this machine offers, and what is missing',
    load: () => import('./commands/doctor.ts'),
  },
};
