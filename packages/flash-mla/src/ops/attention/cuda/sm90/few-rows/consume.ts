import type { Ops, Value, Var } from '@flash-mla/ptx';
import type { Element } from '../../../../kernel-lib/cuda/element.ts';
import { type PipelineState, twoStages } from '../../../../kernel-lib/cuda/sm90/pipeline-state.ts';
import type { ConsumerPlace } from '../../../../kernel-lib/cuda/sm90/place.ts';
import { mnMajorFrom } from '../../../../kernel-lib/cuda/sm90/swizzled-tile.ts';
import type { Blocks } from '../dense/mask.ts';
import { heedMissing } from '../dense/missing-pages.ts';
import {
  barrierId,
  consumers,
  stepColumns,
  stepsPerTile,
  tileBytes,
  tileColumns,
  tileTokens,
  tokenStepBytes,
  warpGroupThreads,
} from '../dense/tile.ts';
import { maskScores } from '../swap-ab/mask.ts';
import type { ReductionGroup } from '../swap-ab/reduction-group.ts';
import type { RowState } from '../swap-ab/row-state.ts';
import { softmaxStep } from '../swap-ab/softmax-step.ts';
import { type FewRowsShared, fewRows, type KeyParts, type PartName } from './tile.ts';

/** The parts of V in the order in which a consumer multiplies them. */
const valueParts = ['back', 'front'] as const;

/** Of a consumer's accumulators: how far their columns are from its first ones. */
export function columnOffsets({ firstTile, ownTiles }: KeyParts): number[] {
  return valueParts.flatMap((name) =>
    Array.from({ length: ownTiles }, (_, tile) => (firstTile[name] + tile) * tileColumns),
  );
}

/**
 * One of two warp groups. Both compute the scores of every block, which is cheap for few rows and lets
 * them go on without waiting for each other; each multiplies half the columns of V.
 */
export class FewRowsConsumer {
  readonly state: RowState;
  readonly place: ConsumerPlace;
  readonly #k: Ops;
  readonly #shared: FewRowsShared;
  readonly #element: Element;
  readonly #parts: KeyParts;
  readonly #group: ReductionGroup;
  readonly #scores: readonly Var<'f32'>[];
  readonly #ring: PipelineState;

  constructor(
    k: Ops,
    shared: FewRowsShared,
    element: Element,
    parts: KeyParts,
    group: ReductionGroup,
    place: ConsumerPlace,
    state: RowState,
  ) {
    this.#k = k;
    this.#shared = shared;
    this.#element = element;
    this.#parts = parts;
    this.#group = group;
    this.place = place;
    this.state = state;
    this.#scores = k.vars('f32', fewRows / 2);
    this.#ring = twoStages(k, 0);
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
    k.for({ from, to, name: 'block', uniform: true, unroll: false }, (block) => {
      k.section('scores', () => this.#multiplyKeys());
      k.section('softmax', () => {
        const { place, state } = this;
        const first = block.mul(tileTokens);
        const scores = this.#scores;
        maskScores(k, place, blocks, scores, block);
        k.if(
          first.add(tileTokens).gt(blocks.length()),
          () => {
            this.#clearValues(blocks.length().max(first).sub(first));
          },
          { uniform: true },
        );
        const weights = this.#shared.weights.tile(this.#ring.stage, place.consumer, 0);
        softmaxStep(k, this.#group, place, state, { scores, scale: blocks.scale, weights });
      });
      k.section('values', () => this.#multiplyValues());
      this.#ring.advance();
    });
    const target = takeTarget();
    k.if(this.place.lane.eq(0), () => k.mbarrierArrive(this.#shared.queryEmpty.at(0)));
    return target;
  }

  /** Scores of the block at hand: tokens × query rows. */
  #multiplyKeys(): void {
    const k = this.#k;
    const shared = this.#shared;
    const query = shared.query.kMajor(0, 0);
    const { stage, phase } = this.#ring;
    const keys = shared.keys.kMajor(stage, 0, 0);
    const { list, firstTile } = this.#parts;
    for (const { name, arrivals } of list) {
      let tile = firstTile[name];
      arrivals.forEach((tiles, i) => {
        k.mbarrierWait(shared[`${name}Full`].at(stage, i), phase);
        // The assembler wants one in every run of multiplications.
        k.wgmmaFence();
        for (const end = tile + tiles; tile < end; tile++) {
          for (let step = 0; step < stepsPerTile; step++) {
            const column = tile * tileColumns + step * stepColumns;
            const [left, right] = [keys.at(0, column), query.at(0, column)];
            const accumulate = tile + step > 0;
            k.wgmma(this.#element, this.#scores, left, right, { accumulate });
          }
        }
      });
    }
    k.wgmmaCommit();
    k.wgmmaWait(0);
    this.#release('rest');
  }

  /** outputs += Vᵀ × weightsᵀ, 64 of this consumer's columns at a time. */
  #multiplyValues(): void {
    const k = this.#k;
    const { consumer } = this.place;
    const { ownTiles } = this.#parts;
    const right = this.#shared.weights.kMajor(this.#ring.stage, consumer, 0, 0);
    k.wgmmaFence();
    valueParts.forEach((name, part) => {
      const left = mnMajorFrom(k, this.#ownValues(name), tileTokens);
      for (let tile = 0; tile < ownTiles; tile++) {
        const acc = this.state.outputs[part * ownTiles + tile];
        for (let step = 0; step < stepsPerTile; step++) {
          const values = left.bytes(tile * tileBytes + step * tokenStepBytes);
          const rows = right.at(0, step * stepColumns);
          k.wgmma(this.#element, acc, values, rows, { transA: true });
        }
      }
      k.wgmmaCommit();
    });
    valueParts.forEach((name, part) => {
      k.wgmmaWait(valueParts.length - 1 - part);
      this.#release(name);
    });
  }

  /** This consumer's tiles of a part of V. */
  #ownValues(name: 'front' | 'back') {
    const { firstTile, ownTiles } = this.#parts;
    const own = this.place.consumer.mul(ownTiles);
    return this.#shared.keys.tile(this.#ring.stage, own.add(firstTile[name]));
  }

  /** This warp is done with a part of the block at hand. */
  #release(name: PartName): void {
    const k = this.#k;
    const bar = this.#shared[`${name}Empty`].at(this.#ring.stage);
    k.if(this.place.lane.eq(0), () => k.mbarrierArrive(bar));
  }

  /**
   * Behind a request's end there may be anything, NaN too, which even a weight of 0 would not keep out of
   * the outputs: this consumer's values there become zeros.
   */
  #clearValues(valid: Value<'u32'>): void {
    const k = this.#k;
    const { thread } = this.place;
    const starts = valueParts.map((name) =>
      this.#ownValues(name).as('b32').bytes(thread.and(7).shl(4)),
    );
    const range = { from: valid.add(thread.shr(3)), to: tileTokens, step: warpGroupThreads / 8 };
    const zero = k.constant('b32', 0);
    // All warps of both may still multiply these rows as keys.
    k.barrier(barrierId.consumers, consumers * warpGroupThreads);
    k.for({ ...range, unroll: false }, (row) => {
      for (const start of starts) {
        const at = start.bytes(row.shl(7)).folded();
        for (let i = 0; i < this.#parts.ownTiles; i++) {
          at.bytes(i * tileBytes).storeVec([zero, zero, zero, zero]);
        }
      }
    });
    // Others multiply them behind the barrier that the weights need.
    k.fenceProxyAsync('shared::cta');
  }
}
