/**
 * The script of the process that runs machine code for the first time on a machine: what would end the
 * process ends only this one. Its input says what to run; its output is the memory afterwards.
 */

import { requireKoffi } from '../require-koffi.ts';
import { nativeSystem } from '../system.ts';
import type { Trial } from './trial.ts';

let text = '';
process.stdin.setEncoding('utf8');
process.stdin.on('data', (part: string) => {
  text += part;
});
process.stdin.on('end', () => {
  const trial = JSON.parse(text) as Trial;
  const koffi = requireKoffi(trial.koffi);
  const system = nativeSystem(koffi, process.platform);
  if (system === undefined) throw new Error(`no machine code on ${process.platform}`);
  const refused = trial.tiles ? system.requestTiles() : undefined;
  if (refused !== undefined) throw new Error(refused);
  const address = system.place(Buffer.from(trial.code, 'base64'));
  const call = koffi.decode(address, koffi.proto('void', ['int64_t', 'int64_t']));
  const memory = new Uint8Array(Buffer.from(trial.memory, 'base64'));
  const base = Number(koffi.address(memory));
  call(base + trial.job, base);
  process.stdout.write(Buffer.from(memory).toString('base64'));
});
