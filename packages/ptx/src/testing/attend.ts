import {
  defineKernel,
  field,
  global,
  packPair,
  sharedLayout,
  tensorMap,
  type Value,
} from '../index.ts';

/** The mistakes that can be built into {@link attendKernel}. */
export const attendMistakes = [
  'no fence before the first multiplication',
  'no fence after the weights are computed',
  'scores read before they are waited for',
  'weights overwritten before they are used',
  'outputs read before they are waited for',
  'group never committed',
  'keys released before they are used',
  'keys not waited for',
  'no proxy fence after the weights are stored',
  'no proxy fence after the queries are stored',
  'weights stored over those in use',
  'scores of the block before added',
  'first outputs added to what was there',
  'depth not advanced',
  'next tile not advanced',
  'values not transposed',
  'values advanced as if they were K-major',
  'leading stride of the values wrong',
  'stage not alternated',
  'one warp leaves out a multiplication',
  'warps name different matrices',
  'rows of another warp group',
] as const;

/** One of {@link attendMistakes}. */
export type AttendMistake = (typeof attendMistakes)[number];

/** What {@link attendKernel} varies. */
export interface AttendOptions {
  /** Where A of the second product comes from. */
  readonly weights: 'registers' | 'shared';
  /** 384: a producer gives registers to two consumers; 256: the first consumer fetches as well. */
  readonly threads: 256 | 384;
  /** Groups left unfinished while the next weights are computed. */
  readonly pending: 0 | 1;
  readonly mistake?: AttendMistake;
}

/** Rows of a consumer, tokens of a block, columns of queries and keys. */
export const attendShape = { rows: 64, tokens: 64, columns: 256, stages: 2 } as const;

const { rows, tokens, columns, stages } = attendShape;
const consumers = 2;
const tiles = columns / 64;
const tileBytes = tokens * 128;
const layout = sharedLayout({
  queries: field('bf16', [consumers * rows, columns], { swizzle: '128B', arrangement: 'tiles' }),
  keys: field('bf16', [stages, tokens, columns], { swizzle: '128B', arrangement: 'tiles' }),
  weights: field('bf16', [consumers, rows, tokens], { swizzle: '128B', arrangement: 'tiles' }),
  full: field('b64', [stages]),
  empty: field('b64', [stages]),
});

/**
 * The skeleton of attention by warp groups: out = Σ over blocks of round(scale · Q·Kᵀ) · K, with keys
 * fetched by tensor copies into a ring and used twice, as rows and as columns.
 */
export function attendKernel({ weights, threads, pending, mistake }: AttendOptions) {
  const is = (m: AttendMistake) => m === mistake;
  return defineKernel(
    {
      name: 'test_kernel',
      params: {
        queries: global('bf16'),
        keys: tensorMap('bf16'),
        out: global('f32'),
        blocks: 'u32',
        scale: 'f32',
      },
      shared: layout,
      block: [threads],
      minBlocksPerSm: 1,
    },
    (k, params) => {
      const { shared } = k;
      const producer = threads === 384;
      const group = k.shuffle(k.threadIdx.x.shr(7), 0);
      const elected = k.electSync();

      k.if(k.threadIdx.x.eq(0), () => {
        for (let i = 0; i < stages; i++) {
          k.mbarrierInit(shared.full.at(i), 1);
          k.mbarrierInit(shared.empty.at(i), consumers * 4);
        }
        k.fenceMbarrierInit();
      });
      k.for({ from: k.threadIdx.x, to: (consumers * rows * columns) / 8, step: threads }, (i) => {
        const row = i.shr(5);
        const column = i.and(31).shl(3);
        const from = params.queries.as('b32').at(i.shl(2)).loadVec(4);
        shared.queries.at(row, column).as('b32').storeVec(from);
      });
      if (!is('no proxy fence after the queries are stored')) k.fenceProxyAsync('shared::cta');
      k.barrier();

      const fetch = (block: Value<'u32'>, stage: Value<'u32'>) => {
        const bar = shared.full.at(stage);
        k.mbarrierArriveExpectTx(bar, tiles * tileBytes);
        const row = block.mul(tokens);
        for (let tile = 0; tile < tiles; tile++) {
          k.tensorLoad(shared.keys.tile(stage, tile), params.keys, [tile * 64, row], bar);
        }
      };
      const stageOf = (block: Value<'u32'>) => block.and(stages - 1);
      const parityOf = (block: Value<'u32'>) => block.shr(1).and(1);
      const fetchWhenFree = (block: Value<'u32'>) => {
        k.mbarrierWait(shared.empty.at(stageOf(block)), parityOf(block).xor(1));
        k.if(elected, () => fetch(block, stageOf(block)));
      };

      const consume = (consumer: Value<'u32'>) => {
        const thread = k.threadIdx.x.and(127);
        const warp = k.shuffle(thread.shr(5), 0);
        const row = k.mad(warp, 16, k.laneId.shr(2));
        const scores = k.vars('f32', tokens / 2);
        const outputs = k.vars('f32', columns / 2);
        const fragments = k.vars('b32', tokens / 4);
        const first = is('rows of another warp group') ? consumer.xor(1) : consumer;
        const queries = shared.queries.kMajor(first.mul(rows), 0);
        const own = shared.weights.kMajor(consumer, 0, 0);
        const skip = (m: AttendMistake, issue: () => void) => {
          if (is(m)) k.if(warp.ne(3), issue, { uniform: true });
          else issue();
        };

        const score = (block: Value<'u32'>) => {
          const stage = is('stage not alternated') ? block.and(0) : stageOf(block);
          if (!is('keys not waited for')) k.mbarrierWait(shared.full.at(stage), parityOf(block));
          if (!is('no fence before the first multiplication')) k.wgmmaFence();
          const other = is('warps name different matrices') ? warp.and(1) : stage;
          const keys = shared.keys.kMajor(
            is('warps name different matrices') ? other : stage,
            0,
            0,
          );
          for (let d = 0; d < columns; d += 16) {
            const from = is('depth not advanced')
              ? d & ~63
              : is('next tile not advanced')
                ? d & 63
                : d;
            const options = { accumulate: d > 0 || is('scores of the block before added') };
            const issue = () =>
              k.wgmma('bf16', scores, queries.at(0, d), keys.at(0, from), options);
            if (d === columns - 16) skip('one warp leaves out a multiplication', issue);
            else issue();
          }
          if (!is('group never committed')) k.wgmmaCommit();
        };
        const weigh = () => {
          for (const s of scores) s.set(s.mul(params.scale));
        };
        const keep = () => {
          const words: Value<'b32'>[] = [];
          for (let i = 0; i < scores.length; i += 2) {
            words.push(packPair(k, 'bf16', scores[i], scores[i + 1]).as32());
          }
          if (weights === 'registers') {
            words.forEach((word, i) => {
              fragments[i].set(word);
            });
            return;
          }
          const lane = k.laneId;
          const target = shared.weights.row(consumer, k.mad(warp, 16, lane.and(15)));
          for (let i = 0; i < words.length; i += 4) {
            const four = words.slice(i, i + 4).map((w) => w.as('bf16x2'));
            k.stmatrix(
              target.at(
                lane
                  .shr(4)
                  .shl(3)
                  .add(i * 4),
              ),
              four,
            );
          }
          if (!is('no proxy fence after the weights are stored')) k.fenceProxyAsync('shared::cta');
          k.barrier(consumer.add(1), 128);
        };
        const add = (block: Value<'u32'>) => {
          const stage = is('stage not alternated') ? block.and(0) : stageOf(block);
          const values = is('values not transposed')
            ? shared.keys.kMajor(stage, 0, 0)
            : shared.keys.mnMajor(stage, 0, 0);
          const raw = k.matrixDescriptor(shared.keys.tile(stage, 0), {
            swizzle: '128B',
            stride: 1024,
            leading: 1024,
          });
          const accumulate = is('first outputs added to what was there') ? true : block.gt(0);
          for (let t = 0; t < tokens; t += 16) {
            const a =
              weights === 'registers'
                ? fragments.slice(t / 4, t / 4 + 4).map((f) => f.as('bf16x2'))
                : own.at(0, t);
            const b = is('leading stride of the values wrong')
              ? raw.bytes(t * 128)
              : is('values not transposed')
                ? k.matrixDescriptor(shared.keys.tile(stage, 0), { swizzle: '128B', stride: 1024 })
                : is('values advanced as if they were K-major')
                  ? values.bytes(t * 2)
                  : values.at(t, 0);
            const transB = !is('values not transposed');
            k.wgmma('bf16', outputs, a, b, { transB, accumulate: t > 0 || accumulate });
          }
          k.wgmmaCommit();
        };
        const release = (block: Value<'u32'>) =>
          k.if(k.laneId.eq(0), () => k.mbarrierArrive(shared.empty.at(stageOf(block))));
        const next = (block: Value<'u32'>) => {
          if (producer) return;
          const ahead = block.add(1);
          const fetches = k.warpId.eq(0).and(ahead.lt(params.blocks));
          k.if(fetches, () => fetchWhenFree(ahead), { uniform: true });
        };
        if (is('first outputs added to what was there')) for (const o of outputs) o.set(1);
        if (pending === 0) {
          k.for({ to: params.blocks, name: 'block', uniform: true, unroll: false }, (block) => {
            next(block);
            score(block);
            if (!is('scores read before they are waited for')) k.wgmmaWait(0);
            weigh();
            keep();
            if (!is('no fence after the weights are computed')) k.wgmmaFence();
            add(block);
            if (is('keys released before they are used')) release(block);
            if (
              is('weights stored over those in use') ||
              is('weights overwritten before they are used')
            ) {
              keep();
            }
            if (!is('outputs read before they are waited for')) k.wgmmaWait(0);
            if (!is('keys released before they are used')) release(block);
          });
        } else {
          const zero = k.constant('u32', 0);
          next(zero);
          score(zero);
          k.wgmmaWait(0);
          weigh();
          keep();
          k.for(
            { from: 1, to: params.blocks, name: 'block', uniform: true, unroll: false },
            (block) => {
              const before = block.sub(1);
              score(block);
              add(before);
              k.wgmmaWait(1);
              weigh();
              if (is('weights overwritten before they are used')) keep();
              if (is('keys released before they are used')) release(before);
              k.wgmmaWait(0);
              if (!is('keys released before they are used')) release(before);
              next(block);
              keep();
            },
          );
          const last = params.blocks.sub(1);
          k.wgmmaFence();
          add(last);
          if (!is('outputs read before they are waited for')) k.wgmmaWait(0);
          release(last);
        }

        const place = k.mad(consumer.mul(rows).add(row), columns, k.laneId.and(3).shl(1));
        const out = params.out.at(place);
        for (let i = 0; i < outputs.length; i += 2) {
          const below = ((i >> 1) & 1) * 8;
          out.at(below * columns + (i >> 2) * 8).storeVec([outputs[i], outputs[i + 1]]);
        }
      };

      if (producer) {
        k.if(
          group.eq(0),
          () => {
            k.setMaxRegisters(24, 'decrease');
            k.if(
              k.warpId.eq(0),
              () => k.for({ to: params.blocks, uniform: true, unroll: false }, fetchWhenFree),
              { uniform: true },
            );
          },
          () => {
            k.setMaxRegisters(240, 'increase');
            consume(group.sub(1));
          },
          { uniform: true },
        );
      } else {
        k.if(k.warpId.eq(0), () => fetchWhenFree(k.constant('u32', 0)), { uniform: true });
        consume(group);
      }
    },
  );
}
