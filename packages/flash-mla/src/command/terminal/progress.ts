import type { ProgressStream } from '../context.ts';
import { printable } from './printable.ts';

/** Shows how far long work has come. */
export interface Progress {
  /** `done` of `total` steps are done; `label` says what is going on. */
  update(done: number, total: number, label: string): void;
  /** Removes the bar. Idempotent. */
  stop(): void;
}

const silent: Progress = { update() {}, stop() {} };

/** A bar on one line of a terminal; nothing at all where there is none. */
export function startProgress(stream: ProgressStream | undefined): Progress {
  if (stream === undefined) return silent;
  let drawn = '';
  return {
    update(done, total, label) {
      const line = progressLine(done, total, label, stream.columns);
      if (line === drawn) return;
      drawn = line;
      stream.write(`\r\x1b[2K${line}`);
    },
    stop() {
      if (drawn !== '') stream.write('\r\x1b[2K');
      drawn = '';
    },
  };
}

/** One line such as `██████░░░░  12/20  dense_varlen`, never wider than the terminal. */
export function progressLine(done: number, total: number, label: string, columns: number): string {
  const share = total > 0 ? Math.min(1, Math.max(0, done / total)) : 0;
  const barWidth = 24;
  const filled = Math.round(share * barWidth);
  const bar = '█'.repeat(filled) + '░'.repeat(barWidth - filled);
  return `${bar}  ${done}/${total}  ${printable(label)}`.slice(0, Math.max(0, columns - 1));
}
