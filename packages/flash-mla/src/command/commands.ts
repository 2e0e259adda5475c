import type { CommandModule } from './context.ts';

/** A command by name: its line in the help, and where its file is. */
export interface CommandEntry {
  readonly summary: string;
  load(): Promise<CommandModule>;
}

/** Adding a command adds a file and one line here. The order is that of the help. */
export const commands: Readonly<Record<string, CommandEntry>> = {
  demo: {
    summary: 'decode the bundled case files, then a paged decode loop',
    load: () => import('./commands/demo.ts'),
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
  inspect: {
    summary: 'the CUDA or WebGPU kernels that are chosen for a problem',
    load: () => import('./commands/inspect.ts'),
  },
  doctor: {
    summary: 'what this machine offers, and what is missing',
    load: () => import('./commands/doctor.ts'),
  },
};
