import {
  array,
  defineKernel,
  global,
  type Kernel,
  type Ops,
  type ParamDecls,
  type Value,
} from '@flash-mla/ptx';
import { attend } from './mla/attend.ts';
import type { Alignment } from './mla/copy.ts';
import { pagedKeys } from './mla/paged-keys.ts';
import { forEachPiece, type Piece } from './mla/pieces.ts';
import { warpPlace } from './mla/place.ts';
import { normalizeOutputs, writeOutputs } from './mla/results.ts';
import { mlaShared } from './mla/shared.ts';
import { ctaThreads, type Element, type MlaTile } from './mla/tile.ts';

/** Tokens of a schedule's block. */
const blockTokens = 64;

/** What the code of the dense decode kernel depends on. */
export interface DenseDecodeConfig {
  readonly tile: MlaTile;
  /** Type of q and of the cache in memory; e4m3 is multiplied as f16. */
  readonly stored: Element | 'e4m3';
  readonly outElement: Element;
  readonly pageSize: number;
  readonly queryAlignment: Alignment;
  readonly keyAlignment: Alignment;
}

const params = ({ stored, outElement }: DenseDecodeConfig) =>
  ({
    q: global(stored),
    kCache: global(stored),
    blockTable: global('u32'),
    seqlens: global('s32'),
    metadata: global('s32'),
    numSplits: global('s32'),
    out: global(outElement),
    lse: global('f32'),
    /** (slots, sQ, hQ, dV) and (slots, sQ, hQ): results of splits, log-sum-exp in base 2. */
    partialOut: global('f32'),
    partialLse: global('f32'),
    /** Addresses of one f32, or 0 for a factor of 1. */
    descaleQ: global('f32'),
    descaleK: global('f32'),
    /** Elements between requests, queries and heads; blocks, tokens and heads. */
    qStrides: array('u64', 3),
    kStrides: array('u64', 3),
    blockTableStride: 'u32',
    /** Tokens that a row of the block table can name. */
    capacity: 's32',
    seqLenQ: 'u32',
    numHeadsQ: 'u32',
    /** Query heads that share a KV head. */
    groupSize: 'u32',
    splitBlocks: 's32',
    /** 1: query i of sQ sees keys up to length − sQ + i. */
    causal: 'u32',
    /** Softmax scale · log2 e. */
    scale: 'f32',
  }) as const satisfies ParamDecls;

export type DenseDecodeParams = ReturnType<typeof params>;

/**
 * Dense decoding over a paged cache. Grid: (tiles of rows, KV heads, parts of the schedule). The rows
 * of a KV head are its queries times the heads that share it, numbered query by query.
 */
export function buildDenseDecode(config: DenseDecodeConfig): Kernel<DenseDecodeParams> {
  const { tile } = config;
  return defineKernel(
    {
      name: 'sm80_dense_decode',
      params: params(config),
      shared: mlaShared(tile),
      block: [ctaThreads],
    },
    (k, p) => {
      const place = warpPlace(k, tile);
      const firstRow = k.blockIdx.x.mul(tile.rows).named('first_row');
      const headK = k.blockIdx.y;
      const count = p.seqLenQ.mul(p.groupSize).sub(firstRow).named('row_count');
      const descaleK = descale(k, p.descaleK.address(), () => p.descaleK.load());
      const scale = p.scale
        .mul(descale(k, p.descaleQ.address(), () => p.descaleQ.load()))
        .mul(descaleK);

      /** The query of a row of the CTA, and its head. */
      const queryAndHead = (row: Value<'u32'>) => {
        const index = firstRow.add(row);
        const query = index.div(p.groupSize);
        const head = k.mad(headK, p.groupSize, index.sub(query.mul(p.groupSize)));
        return { query, head };
      };
      const lengthOf = (request: Value<'s32'>) =>
        p.seqlens.at(request).load({ nc: true }).max(0).min(p.capacity);
      const blocksOf = (request: Value<'s32'>) =>
        lengthOf(request)
          .add(blockTokens - 1)
          .shr(Math.log2(blockTokens))
          .max(1);

      const piece = ({ request, from, to, isPartial, slot }: Piece) => {
        const length = lengthOf(request).named('length');
        const limit = (row: Value<'u32'>) => {
          const hidden = p.causal.mul(p.seqLenQ.sub(1).sub(queryAndHead(row).query));
          return length.sub(hidden.as('s32')).max(0).as('u32');
        };
        const all = length
          .sub(p.causal.mul(p.seqLenQ.sub(1)).as('s32'))
          .max(0)
          .as('u32');
        const keys = pagedKeys(k, tile, k.shared, place, {
          cache: p.kCache.at(k.widen(headK).mul(p.kStrides[2])) as never,
          alignment: config.keyAlignment,
          blockStride: p.kStrides[0],
          tokenStride: p.kStrides[1],
          pageSize: config.pageSize,
          pages: p.blockTable.at(k.mulWide(request.as('u32'), p.blockTableStride)),
          length: length.as('u32'),
          limits: { all, rows: [limit(place.row), limit(place.row.add(8))] },
        });
        const q = p.q.at(k.widen(request.as('u32')).mul(p.qStrides[0]));
        const query = {
          stored: config.stored,
          alignment: config.queryAlignment,
          count: count.min(tile.rows),
          pointer: (row: Value<'u32'>) => {
            const at = queryAndHead(row);
            return q
              .at(k.widen(at.query).mul(p.qStrides[1]))
              .at(k.widen(at.head).mul(p.qStrides[2]));
          },
        };

        const perBlock = blockTokens / tile.tokens;
        const first = from.as('u32').mul(perBlock);
        const used = length
          .as('u32')
          .add(tile.tokens - 1)
          .shr(Math.log2(tile.tokens));
        const { state, outputs } = attend(k, {
          tile,
          shared: k.shared,
          place,
          query,
          keys,
          from: first,
          to: to.as('u32').mul(perBlock).min(used).max(first.add(1)),
          scale,
        });

        const rows = p.seqLenQ.mul(p.numHeadsQ);
        normalizeOutputs(k, tile, k.shared, place, state, outputs, ({ row, lse2, isEmpty }) => {
          k.if(row.lt(count), () => {
            const { query, head } = queryAndHead(row);
            k.if(
              isPartial,
              () => {
                const at = k
                  .mulWide(slot.as('u32'), rows)
                  .add(k.widen(k.mad(query, p.numHeadsQ, head)));
                p.partialLse.at(at).store(lse2);
              },
              () => {
                const at = k.mad(k.mad(request.as('u32'), p.numHeadsQ, head), p.seqLenQ, query);
                p.lse
                  .at(at)
                  .store(k.select<'f32'>(isEmpty, Number.POSITIVE_INFINITY, lse2.mul(Math.LN2)));
              },
            );
          });
          return descaleK;
        });
        const rowOf = (batch: Value<'u32'>, row: Value<'u32'>) => {
          const { query, head } = queryAndHead(row);
          return k
            .mulWide(batch, rows)
            .add(k.widen(k.mad(query, p.numHeadsQ, head)))
            .mul(tile.headDimV);
        };
        k.if(
          isPartial,
          () =>
            writeOutputs(k, tile, place, outputs, {
              element: 'f32',
              count,
              pointer: (row) => p.partialOut.at(rowOf(slot.as('u32'), row)),
            }),
          () =>
            writeOutputs(k, tile, place, outputs, {
              element: config.outElement,
              count,
              pointer: (row) => p.out.at(rowOf(request.as('u32'), row)),
            }),
          { uniform: true },
        );
      };
      const { metadata, numSplits, splitBlocks } = p;
      forEachPiece(k, { metadata, numSplits, splitBlocks }, k.blockIdx.z, blocksOf, piece);
    },
  );
}

function descale(k: Ops, address: Value<'u64'>, load: () => Value<'f32'>): Value<'f32'> {
  const factor = k.var('f32', 1);
  k.if(address.ne(0), () => factor.set(load()));
  return factor;
}
