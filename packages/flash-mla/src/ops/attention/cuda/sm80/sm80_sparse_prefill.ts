import { array, defineKernel, global, type Kernel, type ParamDecls } from '@flash-mla/ptx';
import type { Alignment } from '../../../kernel-lib/cuda/sm80/copy.ts';
import { sinkFactor } from '../sink.ts';
import { attend } from './mla/attend.ts';
import { maskMissing } from './mla/mask.ts';
import { pickedLookup } from './mla/picked-lookup.ts';
import { warpPlace } from './mla/place.ts';
import { normalizeOutputs, writeOutputs } from './mla/results.ts';
import { keysOfLayout } from './mla/rows-of-layout.ts';
import { mlaShared } from './mla/shared.ts';
import { ctaThreads, type MlaTile } from './mla/tile.ts';

/** What the code of the sparse prefill kernel depends on. */
export interface SparsePrefillConfig {
  readonly tile: MlaTile;
  readonly hasSink: boolean;
  readonly queryAlignment: Alignment;
  readonly keyAlignment: Alignment;
}

const params = {
  q: global('bf16'),
  kv: global('bf16'),
  indices: global('s32'),
  /** (sQ): entries that count, or address 0: all. */
  lengths: global('s32'),
  /** (hQ), natural. */
  sink: global('f32'),
  /** (sQ, hQ, dV). */
  out: global('bf16'),
  /** (sQ, hQ), natural log. */
  maxLogits: global('f32'),
  lse: global('f32'),
  /** Elements between queries and heads; rows and heads; queries and heads. */
  qStrides: array('u64', 2),
  kvStrides: array('u64', 2),
  indexStrides: array('u64', 2),
  topk: 's32',
  seqLenKv: 'u32',
  numHeadsQ: 'u32',
  /** Query heads that share a KV head, and the tiles they fill. */
  groupSize: 'u32',
  tilesPerQuery: 'u32',
  /** Softmax scale, and that · log2 e. */
  naturalScale: 'f32',
  scale: 'f32',
} as const satisfies ParamDecls;

export type SparsePrefillParams = typeof params;

/** Token-sparse attention over an unpaged KV. Grid: (queries × tiles of a group's heads, KV heads). */
export function buildSparsePrefill(config: SparsePrefillConfig): Kernel<SparsePrefillParams> {
  const { tile, hasSink } = config;
  const options = {
    name: 'sm80_sparse_prefill',
    params,
    shared: mlaShared(tile),
    block: [ctaThreads],
  } as const;
  return defineKernel(options, (k, p) => {
    const place = warpPlace(k, tile);
    const query = k.blockIdx.x.div(p.tilesPerQuery).named('query');
    const headKv = k.blockIdx.y;
    const firstOfGroup = k.blockIdx.x.sub(query.mul(p.tilesPerQuery)).mul(tile.rows);
    const firstHead = k.mad(headKv, p.groupSize, firstOfGroup).named('first_head');
    const count = p.groupSize.sub(firstOfGroup);

    const length = k.var('s32', p.topk);
    k.if(p.lengths.address().ne(0), () => {
      length.set(p.lengths.at(query).load({ nc: true }).max(0).min(p.topk));
    });
    const picked = {
      cache: p.kv.at(k.widen(headKv).mul(p.kvStrides[1])),
      blockStride: p.kvStrides[0],
      tokenStride: p.kvStrides[0],
      pageSize: 1,
      tokens: p.seqLenKv,
      indices: () =>
        p.indices
          .at(k.widen(query).mul(p.indexStrides[0]))
          .at(k.widen(headKv).mul(p.indexStrides[1])),
      length: length.as('u32'),
    } as const;
    const keys = keysOfLayout(k, tile, k.shared, place, 'bf16', config.keyAlignment, (rows) =>
      pickedLookup(k, tile, picked, undefined, rows),
    );
    const q = p.q.at(k.widen(query).mul(p.qStrides[0])).at(k.widen(firstHead).mul(p.qStrides[1]));
    const largest = k.vars('f32', 2, Number.NEGATIVE_INFINITY);
    const tiles = length
      .as('u32')
      .add(tile.tokens - 1)
      .shr(Math.log2(tile.tokens))
      .max(1);
    const { state, outputs } = attend(k, {
      tile,
      shared: k.shared,
      place,
      query: {
        stored: 'bf16',
        alignment: config.queryAlignment,
        count: count.min(tile.rows),
        pointer: (row) => q.at(k.widen(row).mul(p.qStrides[1])),
      },
      keys,
      mask: maskMissing(k, tile, k.shared, place),
      from: k.constant('u32', 0),
      to: tiles,
      scale: p.scale,
      observe: (maxima) => {
        largest.forEach((max, r) => {
          max.set(max.max(maxima[r]));
        });
      },
    });

    const one = k.constant('f32', 1);
    normalizeOutputs(k, tile, k.shared, place, state, outputs, ({ row, r, lse2, isEmpty }) => {
      const factor = k.var('f32', one);
      k.if(row.lt(count), () => {
        const at = k.mad(query, p.numHeadsQ, firstHead.add(row));
        const natural = lse2.mul(Math.LN2);
        p.lse.at(at).store(k.select<'f32'>(isEmpty, Number.POSITIVE_INFINITY, natural));
        // The maximum passes over NaN, the sum does not: a NaN that is attended to must show.
        const shown = k.select(lse2.eq(lse2), largest[r].mul(p.naturalScale), lse2);
        p.maxLogits.at(at).store(shown);
        if (hasSink) factor.set(sinkFactor(k, lse2, p.sink.at(firstHead.add(row)).load()));
      });
      return factor;
    });
    writeOutputs(k, tile, place, outputs, {
      element: 'bf16',
      count,
      pointer: (row) => {
        const index = k.madWide(query, p.numHeadsQ, k.widen(firstHead.add(row)));
        return p.out.at(index.mul(tile.headDimV));
      },
    });
  });
}
