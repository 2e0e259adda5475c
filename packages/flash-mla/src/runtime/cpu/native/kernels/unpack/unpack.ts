import { defineKernel, type Kernel, loadE4m3Zmm, type Zmm } from '@flash-mla/machine-code';
import { vectorFeatures } from '../features.ts';
import { entryBytes, tailValues, unpackJob } from './job.ts';

/** Lines of memory that a packed row may span. */
const rowLines = 11;

/**
 * Packed rows → rows of bf16: each value times the scale of its tile, without rounding. So scales are powers of two:
 * e4m3 has fewer bits than bf16. Called as the kernels of attend/attend.ts.
 */
export const unpackKernel: Kernel<typeof unpackJob> = defineKernel(
  { name: 'unpack_avx512', features: vectorFeatures.avx512, job: unpackJob, args: ['base'] },
  (k, { base: memory, ...job }) => {
    const base = k.stack(8, 8);
    k.mov(base, memory);
    k.free(memory);
    const entry = k.gpr('entry', job.entries);
    const target = k.gpr('target', job.target);
    for (const register of [entry, target]) k.add(register, base);
    const count = k.gpr('count', job.count);
    k.loop(
      count,
      () => {
        const row = k.gpr('row');
        // Rows lie anywhere: the next one is asked for while this one is unpacked.
        k.mov(row.low32, entry.at(entryBytes));
        k.add(row, base);
        for (let line = 0; line < rowLines; line++) k.prefetcht0(row.at(64 * line));
        k.mov(row.low32, entry.at());
        k.add(row, base);
        const from = k.gpr('from', row);
        const to = k.gpr('to', target);
        const factor = k.gpr('factor', entry);
        const scale = k.zmm('scale');
        const tiles = k.gpr('tiles', job.tiles);
        k.loop(
          tiles,
          () => {
            k.add(factor, 4);
            k.vbroadcastss(scale, factor.at());
            const lines = k.gpr('lines', job.linesOfTile);
            k.loop(
              lines,
              () => {
                const halves = k.zmms('values', 2);
                for (const [i, x] of halves.entries()) {
                  loadE4m3Zmm(k, x, from.at(16 * i));
                  k.vmulps(x, x, scale);
                  k.vpsrld(x, x, 16);
                  k.vpmovdw(to.at(32 * i), x);
                }
                k.add(from, 32);
                k.add(to, 64);
              },
              { name: 'lines', atLeastOnce: true },
            );
          },
          { name: 'tiles', atLeastOnce: true },
        );
        k.set(from, job.tail);
        k.add(row, from);
        const x: Zmm = k.zmm('tail');
        for (let at = 0; at < 2 * tailValues; at += 64) {
          k.vmovdqu32(x, row.at(at));
          k.vmovdqu32(to.at(at), x);
        }
        k.add(entry, entryBytes);
        k.set(from, job.targetStride);
        k.add(target, from);
      },
      { name: 'rows' },
    );
  },
);
