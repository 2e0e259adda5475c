import { defineKernel, type Kernel } from '@flash-mla/machine-code';
import { vectorFeatures } from '../features.ts';
import { copyJob } from './job.ts';

const lineBytes = 64;

/** Copies memory, which WebAssembly does only within its own. Called as the kernels of attend/attend.ts. */
export const copyKernel: Kernel<typeof copyJob> = defineKernel(
  { name: 'copy_avx2', features: vectorFeatures.avx2, job: copyJob, args: ['base'] },
  (k, { base, ...job }) => {
    const [target, source] = [k.gpr('target', job.target), k.gpr('source', job.source)];
    for (const register of [target, source]) k.add(register, base);
    const lines = k.gpr('lines', job.bytes);
    const rest = k.gpr('rest', lines);
    k.shr(lines, 6);
    k.and(rest, lineBytes - 1);
    k.loop(
      lines,
      () => {
        const halves = k.ymms('line', 2);
        for (const [i, x] of halves.entries()) k.vmovups(x, source.at(32 * i));
        for (const [i, x] of halves.entries()) k.vmovups(target.at(32 * i), x);
        for (const register of [target, source]) k.add(register, lineBytes);
      },
      { name: 'lines' },
    );
    k.loop(
      rest,
      () => {
        const byte = k.gpr('byte');
        k.mov(byte.low8, source.at());
        k.mov(target.at(), byte.low8);
        for (const register of [target, source]) k.add(register, 1);
      },
      { name: 'bytes' },
    );
  },
);
