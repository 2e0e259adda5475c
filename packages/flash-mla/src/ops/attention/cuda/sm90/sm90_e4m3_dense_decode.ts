import { defineKernel, global, type Kernel, type Ops, type Value } from '@flash-mla/ptx';
import type { Element } from '../../../kernel-lib/cuda/element.ts';
import { manyStages } from '../../../kernel-lib/cuda/sm90/pipeline-state.ts';
import { type ConsumerPlace, consumerPlace } from '../../../kernel-lib/cuda/sm90/place.ts';
import { warpGroup } from '../../../kernel-lib/cuda/sm90/roles.ts';
import { descaledScale, oneUnlessGiven } from '../descales.ts';
import type { Piece } from '../pieces.ts';
import { decodeParams } from './dense/params.ts';
import { releaseCombine } from './dense/release-combine.ts';
import { fetchAllQueries, takeDecodeRoles } from './dense/roles.ts';
import { awaitTarget, hasNext } from './dense/target.ts';
import { ctaThreads, headDimV, ownValueTiles } from './dense/tile.ts';
import { workOf } from './dense/work.ts';
import { initBarriers } from './e4m3/barriers.ts';
import { E4m3Consumer } from './e4m3/consume.ts';
import { fetchKeys } from './e4m3/fetch-keys.ts';
import { fetchQuery } from './e4m3/fetch-query.ts';
import { groupOfBoth } from './e4m3/reduction-group.ts';
import { consumerRegisters, type E4m3Tile, e4m3Layout, producerRegisters } from './e4m3/tile.ts';
import { writeResults } from './swap-ab/results.ts';
import { resetRows, rowState } from './swap-ab/row-state.ts';

/** What the code of the kernel depends on. */
export interface E4m3DenseDecodeConfig {
  readonly tile: E4m3Tile;
  readonly outElement: Element;
  /** A multiple of 64. */
  readonly pageSize: number;
}

const params = ({ outElement }: E4m3DenseDecodeConfig) =>
  decodeParams('e4m3', outElement, {
    /** Addresses of one f32, or 0 for a factor of 1. */
    descaleQ: global('f32'),
    descaleK: global('f32'),
  });

export type E4m3DenseDecodeParams = ReturnType<typeof params>;

/**
 * Dense decoding of few query rows over a paged e4m3 cache on warp groups. Grid: (1, KV heads, parts of
 * the schedule). Tokens are the rows of the multiplications, so that few query rows cost little: scores
 * are keys × queriesᵀ, outputs are Vᵀ × weightsᵀ, with keys and V converted to f16 on their way through
 * registers. One warp group fetches, two compute.
 */
export function buildE4m3DenseDecode(config: E4m3DenseDecodeConfig): Kernel<E4m3DenseDecodeParams> {
  const { tile, outElement, pageSize } = config;
  const options = {
    name: 'sm90_e4m3_dense_decode',
    params: params(config),
    shared: e4m3Layout(tile),
    block: [ctaThreads],
    minBlocksPerSm: 1,
  } as const;
  return defineKernel(options, (k, p) => {
    const { shared } = k;
    const group = warpGroup(k);
    const work = workOf(k, p, pageSize);
    initBarriers(k, shared, tile);
    k.waitForDependencies();

    takeDecodeRoles(k, group, {
      producerRegisters,
      consumerRegisters,
      fetchKeys() {
        k.if(k.electSync(), () => k.prefetchTensorMap(p.keys));
        const ring = manyStages(k, tile.stages, 1);
        work.forEachPiece((piece) => fetchKeys(k, shared, ring, work.keysOf(piece)));
      },
      fetchQueries() {
        fetchAllQueries(k, shared, work, (source, phase, meanwhile) =>
          fetchQuery(k, shared, tile, source, phase, meanwhile),
        );
      },
      consume() {
        const place = consumerPlace(k, group);
        const state = rowState(k, tile.rows, ownValueTiles);
        const reduction = groupOfBoth(k, shared, place);
        const consumer = new E4m3Consumer(k, shared, tile, reduction, place, state);
        const columns = { first: firstColumn(k, place), offsets: [0, 16, 32, 48] };
        const phase = k.var('u32', 0).named('query_parity');
        const factor = oneUnlessGiven(k, p.descaleK);
        const scale = descaledScale(k, p);
        const attend = (piece: Piece) => {
          const blocks = work.blocksOf(piece, scale);
          resetRows(state);
          const target = consumer.attend(blocks, phase, () => awaitTarget(k, shared, phase));
          releaseCombine(k, hasNext(shared, phase).not());
          const where = { group: reduction, place, columns, piece, target, work };
          writeResults(k, p, { ...where, state, outElement, factor });
          phase.set(phase.xor(1));
        };
        work.forEachPiece(attend, () => hasNext(shared, phase.xor(1)));
      },
    });
  });
}

/** The first of a lane's output columns; `valueFragments` makes pairs of neighbouring ones. */
function firstColumn(k: Ops, { consumer, thread, lane }: ConsumerPlace): Value<'u32'> {
  return k
    .mad(consumer, headDimV / 2, thread.shr(5).shl(6))
    .add(lane.shr(2).shl(1))
    .named('first_column');
}
