import type { Ops, Value, Var } from '@flash-mla/ptx';
import type { Blocks } from '../hopper/consume.ts';
import type { ConsumerPlace } from '../hopper/place.ts';
import { headDimQk, tileTokens } from '../hopper/tile.ts';
import { type RingPosition, ringPosition } from './ring.ts';
import { queryRow, type RowState, registersOf, weigh } from './row-state.ts';
import {
  columnSteps,
  type E4m3Shared,
  type E4m3Tile,
  stageBytes,
  tileBytes,
  tileColumns,
} from './tile.ts';
import { allTokens, type Selectors, selectors, valueFragments } from './value-fragments.ts';

/** Depth of a multiplication of e4m3, and of f16: columns of q and k, tokens. */
const scoreDepth = 32;
const tokenDepth = 16;
const tokenSteps = tileTokens / tokenDepth;

/**
 * One of two warp groups. Blocks come in pairs: of each pair a consumer computes the scores of its own
 * block, and half the columns of the output over both. Values are converted and let go of before the
 * scores of the next pair, so that no stage is held while keys are waited for.
 */
export class E4m3Consumer {
  readonly state: RowState;
  readonly place: ConsumerPlace;
  readonly #k: Ops;
  readonly #shared: E4m3Shared;
  readonly #tile: E4m3Tile;
  readonly #scores: readonly Var<'f32'>[];
  /** Values as f16, by blocks and 64 columns: operands of multiplications under way stay untouched. */
  readonly #values: readonly (readonly Var<'b32'>[])[];
  /** The next blocks whose scores, and whose values, are multiplied. */
  readonly #ahead: RingPosition;
  readonly #behind: RingPosition;

  constructor(k: Ops, shared: E4m3Shared, tile: E4m3Tile, place: ConsumerPlace, state: RowState) {
    this.#k = k;
    this.#shared = shared;
    this.#tile = tile;
    this.place = place;
    this.state = state;
    this.#scores = k.vars('f32', tile.rows / 2);
    const steps = tile.valueBlocks * columnSteps;
    this.#values = Array.from({ length: steps }, () => k.vars('b32', 4 * tokenSteps));
    this.#ahead = ringPosition(k, tile, 0);
    this.#behind = ringPosition(k, tile, 0);
  }

  /**
   * Attends to all blocks of a piece, whose queries arrive with this parity. Makes room for the next
   * piece's, whose target may follow: `takeTarget` takes this piece's before that.
   */
  attend<T>(blocks: Blocks, queryParity: Value<'u32'>, takeTarget: () => T): T {
    const k = this.#k;
    const { from, to } = blocks;
    k.mbarrierWait(this.#shared.queryFull.at(0), queryParity);
    this.#multiplyScores(from, to);
    k.wgmmaWait(0);
    this.#weigh(blocks, from);
    const pair = k.var('u32', from.add(2)).named('pair');
    k.while(
      () => pair.lt(to),
      () => {
        this.#multiplyValues(0, allTokens);
        this.#multiplyValues(1, allTokens);
        this.#multiplyScores(pair, to);
        k.wgmmaWait(0);
        this.#weigh(blocks, pair);
        pair.addTo(2);
      },
      { uniform: true, name: 'pair', unroll: false },
    );
    const target = takeTarget();
    k.if(this.place.lane.eq(0), () => k.mbarrierArrive(this.#shared.queryEmpty.at(0)));
    const last = pair.sub(2);
    const values = (block: 0 | 1) => {
      const first = last.add(block).mul(tileTokens);
      const valid = blocks.length.max(first).sub(first);
      this.#multiplyValues(block, selectors(k, this.place, valid));
      k.wgmmaWait(0);
    };
    values(0);
    k.if(last.add(1).lt(to), () => values(1), { uniform: true });
    return target;
  }

  /**
   * Starts the scores of this consumer's block of a pair: tokens × query rows. Where the last pair lacks
   * a block, both compute the same and one will hide it.
   */
  #multiplyScores(pair: Value<'u32'>, to: Value<'u32'>): void {
    const k = this.#k;
    const shared = this.#shared;
    const { consumer } = this.place;
    const isWhole = pair.add(1).lt(to);
    const { stage, parity } = this.#ahead.next(isWhole.and(consumer.ne(0)));
    const layout = { swizzle: '128B', stride: 1024 } as const;
    k.section('scores', () => {
      const keys = k.matrixDescriptor(shared.keys.tile(stage, 0), layout);
      const query = k.matrixDescriptor(shared.query.pointer, layout);
      k.mbarrierWait(shared.full.at(stage), parity);
      k.wgmmaFence();
      for (let column = 0; column < headDimQk; column += scoreDepth) {
        const tile = Math.floor(column / tileColumns);
        const within = column % tileColumns;
        const left = keys.bytes(tile * tileBytes + within);
        const right = query.bytes(tile * this.#tile.rows * tileColumns + within);
        k.wgmma('e4m3', this.#scores, left, right, { accumulate: column > 0 });
      }
      k.wgmmaCommit();
    });
    this.#ahead.advance();
    k.if(isWhole, () => this.#ahead.advance(), { uniform: true });
  }

  /** Turns the scores of a pair into weights. */
  #weigh(blocks: Blocks, pair: Value<'u32'>): void {
    const k = this.#k;
    k.section('softmax', () => {
      this.#hide(blocks, pair.add(this.place.consumer).mul(tileTokens));
      weigh(k, this.#shared, this.place, this.state, this.#scores, blocks.scale);
    });
  }

  /** Hides tokens that a row must not see, and those that are not the piece's. */
  #hide(blocks: Blocks, first: Value<'u32'>): void {
    const k = this.#k;
    const end = blocks.to.mul(tileTokens);
    const hide = () => {
      const token = first.add(this.place.row);
      this.state.sum.forEach((_, r) => {
        const limit = blocks.limitOfRow(queryRow(this.place, r)).min(end);
        registersOf(r).forEach((i, half) => {
          const score = this.#scores[i];
          const isSeen = token.add(8 * half).lt(limit);
          score.set(k.select<'f32'>(isSeen, score, Number.NEGATIVE_INFINITY));
        });
      });
    };
    k.if(first.add(tileTokens).gt(blocks.seenByAll.min(end)), hide, { uniform: true });
  }

  /**
   * Starts outputs += V × weights, 64 of this consumer's columns at a time, for a block of the pair that
   * was last weighed; its stage is free when its values have been read.
   */
  #multiplyValues(block: 0 | 1, selectors: Selectors): void {
    const k = this.#k;
    const shared = this.#shared;
    const { place, state } = this;
    const { valueBlocks } = this.#tile;
    const buffers = this.#values.slice(block < valueBlocks ? block * columnSteps : 0);
    k.section('values', () => {
      k.mbarrierWait(shared.full.at(this.#behind.stage), this.#behind.parity);
      const start = shared.keys.pointer.plus(this.#behind.stage, stageBytes);
      const fragments = valueFragments(k, start, place, selectors);
      const weights = k.matrixDescriptor(shared.weights.tile(block, 0), {
        swizzle: '128B',
        stride: 1024,
      });
      state.outputs.forEach((outputs, step) => {
        const words = buffers[step];
        // The operands of the block before are overwritten, step by step.
        if (block >= valueBlocks) k.wgmmaWait(columnSteps - 1);
        fragments(step).forEach((word, i) => {
          words[i].set(word.as('b32'));
        });
        if (step === columnSteps - 1) this.#release();
        k.wgmmaFence();
        for (let i = 0; i < tokenSteps; i++) {
          const left = words.slice(4 * i, 4 * i + 4).map((word) => word.as('f16x2'));
          k.wgmma('f16', outputs, left, weights.bytes(i * tokenDepth * 2));
        }
        if (valueBlocks === 1 || step === columnSteps - 1) k.wgmmaCommit();
      });
    });
  }

  /** The warp has read all it needs of a stage. */
  #release(): void {
    const k = this.#k;
    k.syncWarp();
    const bar = this.#shared.empty.at(this.#behind.stage);
    k.if(this.place.lane.eq(0), () => k.mbarrierArrive(bar));
    this.#behind.advance();
  }
}
