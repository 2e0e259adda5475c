import type { Ops, Pointer, Value, Var } from '@flash-mla/ptx';
import type { Element } from '../../../../kernel-lib/cuda/element.ts';
import { releaseBuffer } from '../../../../kernel-lib/cuda/sm90/barriers.ts';
import type { DecodeGeometry } from '../../../../kernel-lib/cuda/sm90/geometry.ts';
import type { ConsumerPlace } from '../../../../kernel-lib/cuda/sm90/place.ts';
import { scaleRows } from '../../../../kernel-lib/cuda/sm90/register-tile.ts';
import { fragmentRows, mnMajorFrom } from '../../../../kernel-lib/cuda/sm90/swizzled-tile.ts';
import { partBarrier, weightsBarrier } from './ring.ts';
import { type RowState, rescaleToCommonMax, softmaxStep, type Weights } from './row-state.ts';
import {
  barrierId,
  consumers,
  type HopperShared,
  type HopperTile,
  mlaGeometry,
  stepColumns,
  stepsPerTile,
  tileBytes,
  tileColumns,
  tileTokens,
  tokenStepBytes,
  warpGroupThreads,
} from './tile.ts';

/** Blocks of a request. */
export interface BlockRange {
  readonly from: Value<'u32'>;
  readonly to: Value<'u32'>;
  /** Softmax scale · log2 e. */
  readonly scale: Value<'f32'>;
}

/** Hides tokens of `block`, whose scores are this thread's and wait to become weights. */
export type MaskTokens<B extends BlockRange> = (
  blocks: B,
  block: Value<'u32'>,
  scores: readonly Var<'f32'>[],
) => void;

/** Registers of a consumer beside its row state: consumers that take turns in a warp group share them. */
export interface ConsumerRegisters {
  readonly scores: readonly Var<'f32'>[];
  readonly partnerWeights: readonly (readonly Var<'b32'>[])[];
  readonly query: readonly (readonly Var<'b32'>[])[];
  /** Whose block comes next. */
  readonly turn: Var<'u32'>;
  /** The phases of the blocks that come next in this consumer's stage and in its partner's. */
  readonly ownPhase: Var<'u32'>;
  readonly partnerPhase: Var<'u32'>;
}

export function consumerRegistersOf(
  k: Ops,
  { registerTiles }: Pick<ConsumerTile, 'registerTiles'>,
): ConsumerRegisters {
  const fragments = (n: number) => Array.from({ length: n }, () => k.vars('b32', 4));
  return {
    scores: k.vars('f32', tileTokens / 2),
    partnerWeights: fragments(tileTokens / 16),
    query: fragments(registerTiles * stepsPerTile),
    turn: k.var('u32', 0).named('turn'),
    ownPhase: k.var('u32', 0).named('own_phase'),
    partnerPhase: k.var('u32', 0).named('partner_phase'),
  };
}

/** What of a kernel's tile consumers depend on. */
export interface ConsumerTile extends Pick<HopperTile, 'element' | 'clusterSize'> {
  /** Of the columns that are keys and no values; `element` unless given. */
  readonly ropeElement?: Element;
  /**
   * Query tiles that each consumer holds in registers. With one, its place in shared memory takes the
   * weights of consumer 0; with none, consumers leave their weights in one place by turns, since each has
   * taken the partner's when it leaves its own.
   */
  readonly registerTiles: 0 | 1;
  /** Default DeepSeek's. */
  readonly geometry?: DecodeGeometry;
  /** Tiles of 64 columns that are multiplied as keys; default all. */
  readonly keyTiles?: number;
  /** Whether consumers make what threads' copies brought visible to multiplications, instead of the threads. */
  readonly fencesCopies?: boolean;
  /** Whether both consumers take the partner's block before their own; default: the first one alone. */
  readonly partnerFirst?: boolean;
}

/** A block's weights, and what the outputs are to be multiplied by before its values are added. */
type SoftmaxStep = ReturnType<typeof softmaxStep>;

/** What of a CTA's shared memory consumers use. */
export type ConsumerShared = Pick<
  HopperShared,
  'weights' | 'query' | 'keys' | 'references' | 'full' | 'empty' | 'queryFull' | 'queryEmpty'
>;

/**
 * One of two warp groups that take turns: each computes the scores of every other block, and half the
 * columns of the output over all blocks. While one turns scores into weights, the other keeps the
 * tensor cores busy.
 *
 * One begins with its share of the partner's block, the other with its own scores. Were both the first, the
 * blocks would be computed one after another; were both the second, each would wait for the other's keys.
 */
export class Consumer<B extends BlockRange> {
  readonly state: RowState;
  readonly place: ConsumerPlace;
  readonly #k: Ops;
  readonly #shared: ConsumerShared;
  readonly #tile: ConsumerTile;
  readonly #mask: MaskTokens<B>;
  readonly #registers: ConsumerRegisters;
  readonly #partner: Value<'u32'>;

  constructor(
    k: Ops,
    shared: ConsumerShared,
    tile: ConsumerTile,
    place: ConsumerPlace,
    state: RowState,
    hide: MaskTokens<B>,
    registers: ConsumerRegisters = consumerRegistersOf(k, tile),
  ) {
    this.#k = k;
    this.#shared = shared;
    this.#tile = tile;
    this.place = place;
    this.state = state;
    this.#mask = hide;
    this.#registers = registers;
    this.#partner = place.consumer.xor(1).named('partner');
  }

  get #geometry(): DecodeGeometry {
    return this.#tile.geometry ?? mlaGeometry;
  }

  #fenceCopies(): void {
    if (this.#tile.fencesCopies) this.#k.fenceProxyAsync('shared::cta');
  }

  get #keyTiles(): number {
    return this.#tile.keyTiles ?? this.#geometry.keyTiles;
  }

  /** Takes in the queries of a request. Both consumers must be done with the one before. */
  loadQuery(phase: Value<'u32'>): void {
    const k = this.#k;
    const { registerTiles } = this.#tile;
    k.mbarrierWait(this.#shared.queryFull.at(0), phase);
    this.#fenceCopies();
    for (let tile = 0; tile < registerTiles; tile++) {
      this.#fragmentRows(this.#shared.query.tile(tile)).forEach((row, step) => {
        k.ldmatrix(row, 4).forEach((word, i) => {
          this.#registers.query[tile * stepsPerTile + step][i].set(word.as32() as Value<'b32'>);
        });
      });
    }
    // Weights overwrite what both have just read of the queries; sums, what both have read of the last piece's.
    k.barrier(barrierId.consumers, consumers * warpGroupThreads);
  }

  /** Attends to all blocks of a piece. */
  attend(blocks: B): void {
    const k = this.#k;
    const { from, to } = blocks;
    const block = k.var('u32', from).named('block');
    k.if(
      this.#registers.turn.eq(this.place.consumer),
      () => {
        this.#firstBlock(blocks, from);
        block.addTo(2);
      },
      () => block.addTo(1),
      { uniform: true },
    );
    const rounds = (ownBlock: (block: Value<'u32'>) => void) => {
      k.while(
        () => block.lt(to),
        () => {
          ownBlock(block);
          block.addTo(2);
        },
        { uniform: true, name: 'own_block', unroll: false },
      );
    };
    if (this.#tile.partnerFirst) rounds((each) => this.#partnerFirst(blocks, each));
    else {
      k.if(
        this.place.consumer.eq(0),
        () => rounds((each) => this.#partnerFirst(blocks, each)),
        () => rounds((each) => this.#scoresFirst(blocks, each)),
        { uniform: true },
      );
    }
    k.if(
      block.eq(to),
      () => {
        this.#startPartner();
        this.#finishPartner();
      },
      { uniform: true },
    );
    this.#registers.turn.set(this.#registers.turn.xor(to.sub(from).and(1)));
  }

  /** Makes room for the next piece's queries. Its target may follow: this piece's must have been taken. */
  releaseQuery(): void {
    const k = this.#k;
    k.if(this.place.lane.eq(0), () => k.mbarrierArrive(this.#shared.queryEmpty.at(0)));
  }

  /** The first block of a piece, where no block of the partner's comes before it. */
  #firstBlock(blocks: B, block: Value<'u32'>): void {
    this.#startScores();
    this.#k.wgmmaWait(0);
    const step = this.#softmax(blocks, block);
    this.#addValues(step);
  }

  /** The partner's block, so that it is released early, and then the consumer's own. */
  #partnerFirst(blocks: B, block: Value<'u32'>): void {
    this.#startPartner();
    this.#finishPartner();
    this.#startScores();
    this.#k.wgmmaWait(0);
    const step = this.#softmax(blocks, block);
    this.#addValues(step);
  }

  /** The own scores, so that they are there when the partner's weights come, and values during the softmax. */
  #scoresFirst(blocks: B, block: Value<'u32'>): void {
    this.#startScores();
    this.#startPartner();
    this.#k.wgmmaWait(1);
    const step = this.#softmax(blocks, block);
    this.#finishPartner();
    this.#addValues(step);
  }

  /** Starts the scores of the own block. */
  #startScores(): void {
    this.#k.section('scores', () => this.#multiplyScores());
    this.#k.wgmmaCommit();
  }

  /** Turns the scores into weights, of which the partner gets a copy. */
  #softmax(blocks: B, block: Value<'u32'>): SoftmaxStep {
    const k = this.#k;
    const { element, clusterSize } = this.#tile;
    const { valueTiles, releasedParts } = this.#geometry;
    if (this.#keyTiles > valueTiles) {
      const rest = partBarrier(this.#shared.empty, this.place.consumer, releasedParts - 1);
      releaseBuffer(k, clusterSize, rest);
    }
    k.section('softmax', () => this.#mask(blocks, block, this.#registers.scores));
    const step = softmaxStep(k, element, this.state, this.#registers.scores, blocks.scale);
    this.#handOver(step.weights);
    return step;
  }

  /** Adds the own block's values to the outputs. */
  #addValues({ weights, factors, rescales }: SoftmaxStep): void {
    const k = this.#k;
    const { consumer } = this.place;
    scaleRows(k, this.state.outputs, factors, rescales);
    k.section('values', () => this.#multiplyValues(weights, consumer));
    k.wgmmaCommit();
    k.wgmmaWait(0);
    this.#releaseValues(consumer);
    this.#registers.ownPhase.set(this.#registers.ownPhase.xor(1));
  }

  /** Waits until the partner's block has been added, and lets it go. */
  #finishPartner(): void {
    this.#k.wgmmaWait(0);
    this.#releaseValues(this.#partner);
  }

  /** Scores of the block in this consumer's stage, behind the threads' backs. */
  #multiplyScores(): void {
    const k = this.#k;
    const shared = this.#shared;
    const { element: values, ropeElement = values } = this.#tile;
    const query = shared.query.kMajor(0, 0);
    const keys = shared.keys.kMajor(this.place.consumer, 0, 0);
    const { chunks, valueTiles } = this.#geometry;
    for (let tile = 0; tile < this.#keyTiles; tile++) {
      const part = chunks.findIndex(({ first }) => first === tile);
      if (part >= 0) {
        k.mbarrierWait(
          partBarrier(shared.full, this.place.consumer, part),
          this.#registers.ownPhase,
        );
        this.#fenceCopies();
        // The assembler wants one in every run of multiplications.
        k.wgmmaFence();
      }
      for (let step = 0; step < stepsPerTile; step++) {
        const column = tile * tileColumns + step * stepColumns;
        const isValue = tile < valueTiles;
        const element = isValue ? values : ropeElement;
        const left =
          tile < this.#tile.registerTiles
            ? asFragments(element, this.#registers.query[tile * stepsPerTile + step])
            : query.as(element).at(0, column);
        const accumulate = tile + step > 0;
        const right = keys.as(element).at(0, column);
        k.wgmma(element, this.#registers.scores, left, right, { accumulate });
      }
    }
  }

  /** Waits for the partner's weights and multiplies this consumer's columns of its block. */
  #startPartner(): void {
    const k = this.#k;
    const { element } = this.#tile;
    k.section('partner', () => {
      k.mbarrierWait(
        weightsBarrier(this.#shared, this.#geometry, this.#partner),
        this.#registers.partnerPhase,
      );
      this.#fragmentRows(this.#weights(this.#partner)).forEach((row, step) => {
        k.ldmatrix(row, 4).forEach((word, i) => {
          this.#registers.partnerWeights[step][i].set(word.as32() as Value<'b32'>);
        });
      });
      const references = [0, 8].map((r) =>
        this.#shared.references.at(this.#partner, this.place.row.add(r)).load(),
      );
      rescaleToCommonMax(k, element, this.state, this.#registers.partnerWeights, references);
      const { ownChunks } = this.#geometry;
      for (let chunk = 0; chunk < ownChunks; chunk++) {
        const full = partBarrier(this.#shared.full, this.#partner, chunk);
        const own = this.place.consumer.shl(Math.log2(consumers * ownChunks));
        k.mbarrierWait(full.at(own), this.#registers.partnerPhase);
      }
      this.#fenceCopies();
      this.#registers.partnerPhase.set(this.#registers.partnerPhase.xor(1));
      const weights = this.#registers.partnerWeights.map((words) => asFragments(element, words));
      this.#multiplyValues(weights, this.#partner);
    });
    k.wgmmaCommit();
  }

  /** This consumer is done with its columns of V in a stage. */
  #releaseValues(stage: Value<'u32'>): void {
    const bar = this.#shared.empty.at(stage).at(this.place.consumer.shl(1));
    releaseBuffer(this.#k, this.#tile.clusterSize, bar);
  }

  /** outputs += weights × this consumer's columns of V. */
  #multiplyValues(weights: Weights, stage: Value<'u32'>): void {
    const k = this.#k;
    const { element } = this.#tile;
    const start = this.#shared.keys.tile(
      stage,
      this.place.consumer.mul(this.#geometry.ownValueTiles),
    );
    const values = mnMajorFrom(k, start, tileTokens);
    k.wgmmaFence();
    weights.forEach((fragment, step) => {
      const right = values.bytes(step * tokenStepBytes);
      k.wgmma(element, this.state.outputs, fragment, right, { transB: true });
    });
  }

  /** Gives the weights and what they are relative to to the partner. */
  #handOver(weights: Weights): void {
    const k = this.#k;
    const { consumer, lane, row } = this.place;
    const rows = this.#fragmentRows(this.#weights(consumer));
    weights.forEach((fragment, step) => {
      k.stmatrix(
        rows[step].as('b16'),
        fragment.map((word) => word.as('b32')),
      );
    });
    k.if(lane.and(3).eq(0), () => {
      [0, 1].forEach((r) => {
        this.#shared.references.at(consumer, row.add(8 * r)).store(this.state.runningMax[r]);
      });
    });
    k.mbarrierArrive(weightsBarrier(this.#shared, this.#geometry, consumer));
  }

  /** The tile in which a consumer leaves its weights. */
  #weights(consumer: Value<'u32'>): Pointer<'shared', Element> {
    const { pointer } = this.#shared.weights;
    return this.#tile.registerTiles === 0 ? pointer : pointer.plus(consumer.xor(1), tileBytes);
  }

  /** Where this lane's row of 8×8 blocks lies in a tile, by steps of 16 columns. */
  #fragmentRows(tile: Pointer<'shared', Element>): Pointer<'shared', Element>[] {
    return fragmentRows(tile, this.place.lane, this.place.warpRow);
  }
}

function asFragments(element: Element, words: readonly Var<'b32'>[]) {
  const type = element === 'f16' ? 'f16x2' : 'bf16x2';
  return words.map((word) => word.as(type));
}
