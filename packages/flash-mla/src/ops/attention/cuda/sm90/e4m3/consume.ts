import type { Ops, Value, Var } from '@flash-mla/ptx';
import {
  type LookaheadState,
  manyStages,
  type PipelineState,
} from '../../../../kernel-lib/cuda/sm90/pipeline-state.ts';
import type { ConsumerPlace } from '../../../../kernel-lib/cuda/sm90/place.ts';
import type { Blocks } from '../dense/mask.ts';
import { heedMissing } from '../dense/missing-pages.ts';
import { headDimQk, tileTokens } from '../dense/tile.ts';
import { maskScores } from '../swap-ab/mask.ts';
import type { ReductionGroup } from '../swap-ab/reduction-group.ts';
import type { RowState } from '../swap-ab/row-state.ts';
import { softmaxStep } from '../swap-ab/softmax-step.ts';
import { keyFragments } from './key-fragments.ts';
import { type OperandSet, Operands } from './operands.ts';
import { type E4m3Shared, type E4m3Tile, setDepth, stageBytes } from './tile.ts';
import { allTokens, type Selectors, selectors, valueFragments } from './value-fragments.ts';

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
  readonly #group: ReductionGroup;
  readonly #scores: readonly Var<'f32'>[];
  readonly #operands: Operands;
  /** Of the weights of the pair at hand. */
  readonly #buffer: Var<'u32'>;
  /** The next blocks whose scores, and whose values, are multiplied. */
  readonly #ahead: LookaheadState;
  readonly #behind: LookaheadState;

  constructor(
    k: Ops,
    shared: E4m3Shared,
    tile: E4m3Tile,
    group: ReductionGroup,
    place: ConsumerPlace,
    state: RowState,
  ) {
    this.#k = k;
    this.#shared = shared;
    this.#group = group;
    this.place = place;
    this.state = state;
    this.#scores = k.vars('f32', tile.rows / 2);
    this.#operands = new Operands(k, tile);
    this.#buffer = k.var('u32', 0).named('buffer');
    this.#ahead = manyStages(k, tile.stages, 0);
    this.#behind = manyStages(k, tile.stages, 0);
  }

  /**
   * Attends to all blocks of a piece, whose queries arrive with this phase. Makes room for the next
   * piece's, whose target may follow: `takeTarget` takes this piece's before that.
   */
  attend<T>(given: Blocks, queryPhase: Value<'u32'>, takeTarget: () => T): T {
    const k = this.#k;
    k.mbarrierWait(this.#shared.queryFull.at(0), queryPhase);
    const blocks = heedMissing(k, this.#shared, given);
    const { from, to } = blocks;
    this.#operands.multiply(this.#scoreSets(from, to));
    this.#operands.drain();
    this.#softmax(blocks, from);
    const pair = k.var('u32', from.add(2)).named('pair');
    k.while(
      () => pair.lt(to),
      () => {
        const first = this.#valueSets(0, this.#behind, allTokens);
        const second = this.#valueSets(1, this.#behind.next(true), allTokens);
        this.#operands.multiply([...first, ...second, ...this.#scoreSets(pair, to)]);
        this.#operands.drain();
        this.#softmax(blocks, pair);
        pair.addTo(2);
      },
      { uniform: true, name: 'pair', unroll: false },
    );
    const target = takeTarget();
    k.if(this.place.lane.eq(0), () => k.mbarrierArrive(this.#shared.queryEmpty.at(0)));
    const last = pair.sub(2);
    const values = (block: 0 | 1) => {
      const first = last.add(block).mul(tileTokens);
      const valid = blocks.length().max(first).sub(first);
      const sets = this.#valueSets(block, this.#behind, selectors(k, this.place, valid));
      this.#operands.multiply(sets);
      this.#operands.drain();
    };
    values(0);
    k.if(last.add(1).lt(to), () => values(1), { uniform: true });
    return target;
  }

  /**
   * Scores of this consumer's block of a pair: tokens × query rows. Where the last pair lacks a block, both
   * compute the same and one will hide it.
   */
  #scoreSets(pair: Value<'u32'>, to: Value<'u32'>): OperandSet[] {
    const k = this.#k;
    const shared = this.#shared;
    const isWhole = pair.add(1).lt(to);
    const { stage, phase } = this.#ahead.next(isWhole.and(this.place.consumer.ne(0)));
    this.#ahead.advance();
    k.if(isWhole, () => this.#ahead.advance(), { uniform: true });
    const query = shared.query.kMajor(0, 0);
    const keys = keyFragments(k, shared.keys.tile(stage, 0), this.place);
    return Array.from({ length: headDimQk / setDepth }, (_, set) => ({
      acc: this.#scores,
      load: () => {
        if (set === 0) k.mbarrierWait(shared.full.at(stage), phase);
        return keys(set)();
      },
      right: query.at(0, set * setDepth),
      accumulate: set > 0,
    }));
  }

  /** Turns the scores of a pair into weights. */
  #softmax(blocks: Blocks, pair: Value<'u32'>): void {
    const k = this.#k;
    k.section('softmax', () => {
      const { place, state } = this;
      const scores = this.#scores;
      maskScores(k, place, blocks, scores, pair.add(place.consumer));
      this.#buffer.set(this.#buffer.xor(1));
      const weights = this.#shared.weights.tile(this.#buffer, place.consumer, 0);
      softmaxStep(k, this.#group, place, state, { scores, scale: blocks.scale, weights });
    });
  }

  /**
   * outputs += V × weights, 64 of this consumer's columns at a time, for a block of the pair whose weights
   * were computed last; its stage is free when its values have been read.
   */
  #valueSets(
    block: 0 | 1,
    { stage, phase }: Pick<PipelineState, 'stage' | 'phase'>,
    selectors: Selectors,
  ): OperandSet[] {
    const k = this.#k;
    const shared = this.#shared;
    const { place, state } = this;
    k.mbarrierWait(shared.full.at(stage), phase);
    const start = shared.keys.pointer.plus(stage, stageBytes);
    const values = valueFragments(k, start, place, selectors);
    const right = shared.weights.kMajor(this.#buffer, block, 0, 0);
    return state.outputs.map((acc, step) => {
      const afterLoad = step === state.outputs.length - 1 ? () => this.#release() : undefined;
      return { acc, load: values(step), right, accumulate: true, afterLoad };
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
