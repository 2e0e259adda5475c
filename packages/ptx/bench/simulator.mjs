// Measures the simulator: thread-instructions per second of four kinds of kernels, on one core.
// Run after `npm run build`: node packages/ptx/bench/simulator.mjs
import { defineKernel, field, global, SimMemory, simulate } from '@flash-mla/ptx';

const seconds = 2;

/** Arithmetic in registers: 64 fused multiply-adds and 64 integer steps a round. */
const arithmetic = defineKernel(
  { name: 'arithmetic', params: { out: global('f32'), rounds: 'u32' }, block: [256] },
  (k, { out, rounds }) => {
    const f = k.var('f32', 1);
    const n = k.var('u32', k.threadIdx.x);
    k.for({ to: rounds, uniform: true }, () => {
      for (let i = 0; i < 64; i++) {
        f.set(k.fma(f, 0.999, 0.5));
        n.set(k.mad(n, 1664525, 1013904223));
      }
    });
    out.at(k.threadIdx.x).store(f.add(k.toF32(n)));
  },
);

/** Shared memory: 16-byte stores and loads by other threads, with all checks on. */
const exchange = defineKernel(
  {
    name: 'exchange',
    params: { out: global('u32'), rounds: 'u32' },
    shared: { s: field('u32', [2, 256, 4]) },
    block: [256],
  },
  (k, { out, rounds }) => {
    const v = [0, 1, 2, 3].map((i) => k.var('u32', i));
    k.for({ to: rounds, uniform: true }, (round) => {
      const stage = round.and(1);
      k.shared.s.at(stage, k.threadIdx.x, 0).storeVec(v);
      k.barrier();
      const other = k.shared.s.at(stage, k.threadIdx.x.xor(33), 0).loadVec(4);
      other.forEach((x, i) => {
        v[i].set(x.add(v[i]));
      });
    });
    out.at(k.threadIdx.x).store(v[0]);
  },
);

/** Tensor cores: ldmatrix and mma in the proportion of a matrix multiplication. */
const tensor = defineKernel(
  {
    name: 'tensor',
    params: { out: global('f32'), rounds: 'u32' },
    shared: { s: field('bf16', [128, 64], { swizzle: '128B' }) },
    block: [128],
  },
  (k, { out, rounds }) => {
    const mine = k.shared.s.row(k.threadIdx.x);
    for (let c = 0; c < 64; c += 8) mine.at(c).as('b32').storeVec([1, 2, 3, 4]);
    k.barrier();
    const acc = Array.from({ length: 8 }, () => k.vars('f32', 4, 0));
    k.for({ to: rounds, uniform: true }, () => {
      const row = k.shared.s.row(k.laneId);
      for (let kk = 0; kk < 64; kk += 16) {
        const a = k.ldmatrix(row.at(kk), 4);
        for (let j = 0; j < 8; j += 2) {
          const [b0, b1, b2, b3] = k.ldmatrix(row.at(kk), 4);
          k.mma('bf16', acc[j], a, [b0, b1]);
          k.mma('bf16', acc[j + 1], a, [b2, b3]);
        }
      }
    });
    out.at(k.threadIdx.x).store(acc.map((c) => c[0]).reduce((x, y) => x.add(y)));
  },
);

/** Divergence: lanes that take different branches and leave loops at different times. */
const divergent = defineKernel(
  { name: 'divergent', params: { out: global('u32'), rounds: 'u32' }, block: [256] },
  (k, { out, rounds }) => {
    const n = k.var('u32', k.threadIdx.x);
    k.for({ to: rounds, uniform: true }, () => {
      k.for({ to: k.laneId.and(15).add(4) }, (i) => {
        k.if(
          n.and(1).eq(0),
          () => n.set(n.shr(1).add(i)),
          () => n.set(n.mul(3).add(1)),
        );
      });
    });
    out.at(k.threadIdx.x).store(n);
  },
);

for (const [kernel, rounds] of [
  [arithmetic, 2000],
  [exchange, 500],
  [tensor, 20],
  [divergent, 500],
]) {
  const memory = new SimMemory();
  const out = memory.alloc(4096);
  const launch = { grid: [1], memory, params: { out, rounds } };
  simulate(kernel, launch);
  let [instructions, matrix] = [0, 0];
  const begin = performance.now();
  while (performance.now() - begin < seconds * 1e3) {
    const counters = simulate(kernel, launch);
    instructions += counters.threadInstructions;
    matrix += counters.byKind.matrix ?? 0;
  }
  const elapsed = (performance.now() - begin) / 1e3;
  const rate = (instructions / elapsed / 1e6).toFixed(1);
  const extra =
    matrix > 0 ? `, ${(matrix / elapsed / 1e3).toFixed(0)} k matrix instructions/s` : '';
  console.log(`${kernel.name.padEnd(12)} ${rate.padStart(8)} M thread-instructions/s${extra}`);
}
