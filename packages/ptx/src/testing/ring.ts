import { defineKernel, field, sharedLayout, tensorMap } from '../index.ts';

/** The mistakes that can be built into {@link ringKernel}. */
export const ringMistakes = [
  'bytes of a stage announced too low',
  'bytes of a stage announced too high',
  'bytes never announced',
  'consumers wait for the wrong parity',
  'consumers never turn the parity',
  'consumers do not wait',
  'producer does not wait for free stages',
  'producer waits for the wrong parity',
  'producer waits without the cluster scope',
  'stage freed before it is read',
  'stage not alternated',
  'stages freed in this CTA only',
  'one arrival too few counted',
  'one arrival too many counted',
  'initialisation not fenced',
  'no cluster barrier after the initialisation',
  'barriers initialised by every lane',
  'data multicast to this CTA only',
  'every lane starts the copies',
  'one load too many',
  'box one row too low',
  'tile read without the swizzle',
  'sums read without waiting',
  'sums waited for without the cluster scope',
  'sums sent to the wrong barrier',
  'bytes of the sums not announced',
  'no proxy fence before the store',
  'no barrier before the store',
  'store not committed',
  'store not waited for',
  'staging overwritten before it is read',
  'no cluster barrier before the end',
  'cluster barrier skipped by one warp',
] as const;

/** One of {@link ringMistakes}. */
export type RingMistake = (typeof ringMistakes)[number];

/** Rows and columns of a tile, stages of the ring, and threads that consume. */
export const ringShape = { rows: 64, columns: 64, stages: 2, consumers: 128 } as const;

const { rows, columns, stages, consumers } = ringShape;
const layout = sharedLayout({
  ring: field('bf16', [stages, rows, columns], { swizzle: '128B', arrangement: 'tiles' }),
  staging: field('f32', [rows, columns], { align: 128 }),
  sums: field('f32', [consumers]),
  full: field('b64', [stages]),
  empty: field('b64', [stages]),
  exchanged: field('b64', [1]),
});

/**
 * Two CTAs of a cluster walk over the tiles of x together: each loads one half of a tile for both,
 * adds up all tiles times its number in the cluster plus 1, tells the other the sums of its half rows,
 * and adds what it is told to the first element of the half row.
 */
export function ringKernel(mistake?: RingMistake) {
  const is = (m: RingMistake) => m === mistake;
  return defineKernel(
    {
      name: 'ring',
      params: { x: tensorMap('bf16'), out: tensorMap('f32'), tiles: 'u32' },
      shared: layout,
      block: [consumers + 32],
      cluster: [2],
    },
    (k, { x, out, tiles }) => {
      const { ring, staging, sums, full, empty, exchanged } = k.shared;
      const rank = k.clusterCtaRank;
      const peer = rank.xor(1);
      const me = k.threadIdx.x;
      const first = me.eq(consumers);
      const wrong = is('one arrival too few counted')
        ? -1
        : is('one arrival too many counted')
          ? 1
          : 0;
      const init = () => {
        for (let s = 0; s < stages; s++) {
          k.mbarrierInit(full.at(s), 1);
          k.mbarrierInit(empty.at(s), (2 * consumers) / 32 + wrong);
        }
        k.mbarrierInit(exchanged.at(0), 1);
        if (!is('initialisation not fenced')) k.fenceMbarrierInit();
      };
      if (is('barriers initialised by every lane')) k.if(me.ge(consumers), init);
      else k.if(first, init);
      if (is('no cluster barrier after the initialisation')) k.barrier();
      else k.clusterBarrier();

      k.role('producer', k.warpId.eq(consumers / 32), () => {
        k.if(is('every lane starts the copies') ? me.lt(1000) : first, () => {
          const rounds = is('one load too many') ? tiles.add(1) : tiles;
          k.for({ to: rounds }, (tile) => {
            const stage = is('stage not alternated') ? k.constant('u32', 0) : tile.and(1);
            const parity = tile.shr(1).and(1);
            if (!is('producer does not wait for free stages')) {
              const free = is('producer waits for the wrong parity') ? parity : parity.xor(1);
              const cluster = !is('producer waits without the cluster scope');
              k.mbarrierWait(empty.at(stage), free, { cluster });
            }
            const bytes = rows * columns * 2;
            if (is('bytes never announced')) k.mbarrierArrive(full.at(stage));
            else {
              const error = is('bytes of a stage announced too low') ? -16 : 0;
              const more = is('bytes of a stage announced too high') ? 16 : 0;
              k.mbarrierArriveExpectTx(full.at(stage), bytes + error + more);
            }
            const half = rank.mul(rows / 2);
            const shift = is('box one row too low') ? 1 : 0;
            const row = k.mad(tile, rows, half).add(shift);
            const to = ring.tile(stage, 0).plus(half, columns * 2);
            const multicast = is('data multicast to this CTA only')
              ? k.split(k.constant('u32', 1).shl(rank).as('b32'))[0]
              : 3;
            k.tensorLoad(to, x, [0, row], full.at(stage), { multicast });
          });
        });
      });
      k.role('consumers', k.warpId.lt(consumers / 32), () => {
        const row = me.shr(1);
        const half = me.and(1).mul(columns / 2);
        const acc = k.vars('f32', columns / 2, 0);
        const scale = k.toF32(rank.add(1));
        k.for({ to: tiles }, (tile) => {
          const stage = is('stage not alternated') ? k.constant('u32', 0) : tile.and(1);
          const turned = tile.shr(1).and(1);
          const parity = is('consumers never turn the parity') ? k.constant('u32', 0) : turned;
          const awaited = is('consumers wait for the wrong parity') ? parity.xor(1) : parity;
          if (!is('consumers do not wait')) k.mbarrierWait(full.at(stage), awaited);
          const free = () => {
            k.syncWarp();
            k.if(k.laneId.eq(0), () => {
              k.mbarrierArriveRemote(empty.at(stage), rank);
              if (!is('stages freed in this CTA only')) {
                k.mbarrierArriveRemote(empty.at(stage), peer);
              }
            });
          };
          if (is('stage freed before it is read')) free();
          const line = ring.row(stage, row);
          const plain = ring.tile(stage, 0).plus(row, columns * 2);
          for (let i = 0; i < columns / 2; i++) {
            const column = half.add(i);
            const at = is('tile read without the swizzle') ? plain.at(column) : line.at(column);
            acc[i].addTo(k.toF32(at.load()).mul(scale));
          }
          if (!is('stage freed before it is read')) free();
        });
        // Sums of half rows go to the peer.
        const bar = exchanged.at(0);
        k.if(me.eq(0), () => {
          if (is('bytes of the sums not announced')) k.mbarrierArrive(bar);
          else k.mbarrierArriveExpectTx(bar, consumers * 4);
        });
        const sum = acc.map((v) => k.copy(v)).reduce((a, b) => a.add(b));
        const there = is('sums sent to the wrong barrier') ? rank : peer;
        k.stAsync(k.mapa(sums.at(me), peer), [sum], k.mapa(bar, there));
        if (!is('sums read without waiting')) {
          k.mbarrierWait(bar, 0, { cluster: !is('sums waited for without the cluster scope') });
        }
        acc[0].addTo(sums.at(me).load());
        for (let i = 0; i < columns / 2; i++) staging.at(row, half.add(i)).store(acc[i]);
        if (!is('no proxy fence before the store')) k.fenceProxyAsync('shared::cta');
        if (!is('no barrier before the store')) k.barrier(1, consumers);
        k.if(me.eq(0), () => {
          k.tensorStore(out, [0, k.blockIdx.x.mul(rows)], staging.pointer);
          if (!is('store not committed')) k.bulkCommit();
          if (!is('store not waited for')) k.bulkWait(0, { read: true });
        });
        if (is('staging overwritten before it is read')) staging.at(row, half).store(0);
      });
      if (is('cluster barrier skipped by one warp')) {
        k.if(k.warpId.ne(1), () => k.clusterArrive(), { uniform: true });
        k.clusterWait();
      } else if (!is('no cluster barrier before the end')) k.clusterBarrier();
    },
  );
}
