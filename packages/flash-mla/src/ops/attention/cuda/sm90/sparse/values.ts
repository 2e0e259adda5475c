import { e4m3x4ToF16x2, type Ops, Pointer, type Value, type Var } from '@flash-mla/ptx';
import { tileBytes, valueTiles } from '../dense/tile.ts';
import { toF16, tooLarge } from './narrow-queries.ts';
import { isFirstOwner, type ProducerPlace, warpOf } from './place.ts';
import type { RowFinder } from './rows.ts';
import { loadOptions, type ScaleFormat, scaleFormat } from './scales.ts';
import {
  isStaged,
  laneTokens,
  model1RopePart,
  partBytes,
  partsInRegisters,
  partTiles,
  ropeOffset,
  type SparseLayout,
  type SparseShared,
  tokenLanes,
  tokensAtOnce,
  valueParts,
  warpTokens,
} from './tile.ts';

/** Bytes of a row of a tile. */
const tileRowBytes = 128;

/** Where a part's raw values are copied to, from where the first half of the converted ones go. */
const rawOffset = (part: number) => (part * partTiles + 1) * tileBytes;

/** A block's values on their way: raw in registers, part by part, then converted in shared memory. */
export class ValueRows {
  readonly #k: Ops;
  readonly #place: ProducerPlace;
  /** Words of the parts under way, of the lane's tokens. */
  readonly #raw: readonly (readonly (readonly Var<'b32'>[])[])[];
  /** The own token's scale of each of them. */
  readonly #scales: readonly Var<'b32'>[];
  readonly #format: ScaleFormat;
  readonly #layout: SparseLayout;
  readonly #shared: SparseShared;
  /** Where the lane's chunk of its first token goes, in the first tile of stage 0. */
  readonly #target: Pointer<'shared', 'b32'>;

  constructor(k: Ops, shared: SparseShared, place: ProducerPlace, layout: SparseLayout) {
    this.#layout = layout;
    this.#shared = shared;
    this.#format = scaleFormat(k, layout);
    this.#k = k;
    this.#place = place;
    const perToken = () => Array.from({ length: laneTokens }, () => k.vars('b32', 4, 0));
    this.#raw = Array.from({ length: partsInRegisters }, perToken);
    this.#scales = k.vars('b32', partsInRegisters, 0);
    const row = k.mad(warpOf(place), warpTokens, place.firstToken);
    const within = place.chunk.xor(place.firstToken).shl(4);
    this.#target = shared.keys.pointer.bytes(row.shl(7).add(within)).folded().as('b32');
  }

  /** Starts to read a part of the rows at hand; zeros where there are none. */
  load(rows: RowFinder, part: number): void {
    const raw = this.#raw[part];
    const scale = this.#scales[part];
    this.#k.if(
      rows.anyPresent(),
      () => {
        raw.forEach((words, i) => {
          const at = rows.share(i).bytes(part * partBytes);
          at.as('b32')
            .loadVec(4, loadOptions)
            .forEach((word, w) => {
              words[w].set(word);
            });
        });
        scale.set(this.#format.load(rows.scales(), part));
      },
      () => {
        for (const word of raw.flat()) word.set(0);
        scale.set(0);
      },
      { uniform: true },
    );
  }

  /**
   * Copies the other parts as they are, each 16 bytes to where the thread will store half of what they become,
   * so that no thread overwrites what another has not converted; and their scales. As a group of their own.
   */
  stage(rows: RowFinder, stageBytes: Value<'u32'>): void {
    const k = this.#k;
    const targetOf = this.#targets(stageBytes);
    const sourceBytes = k.select(rows.anyPresent(), 16, 0, 'u32');
    for (let i = 0; i < laneTokens; i++) {
      const from = rows.share(i);
      for (let part = partsInRegisters; part < valueParts; part++) {
        const to = targetOf(i).bytes(rawOffset(part)).as('u8');
        this.#whereScaled(part, () => {
          k.cpAsync(to, from.bytes(part * partBytes), 16, { sourceBytes });
        });
      }
    }
    const bytes = (2 * this.#format.partBytes) as 4 | 8;
    const to = this.#shared.stagedScales.at(this.#place.ownToken, 0).as('u8');
    const from = rows.scales().bytes(bytes);
    const scaleBytes = k.select(rows.anyPresent(), bytes, 0, 'u32');
    k.if(isFirstOwner(this.#place), () => {
      k.cpAsync(to, from, bytes, { sourceBytes: scaleBytes });
    });
    k.cpAsyncCommit();
  }

  /** Runs `body` where the lane's share of a part is scaled values: rope values follow the last of model1. */
  #whereScaled(part: number, body: () => void): void {
    const isHalf = this.#layout === 'model1' && part === model1RopePart;
    if (isHalf) this.#k.if(this.#place.chunk.lt(tokenLanes / 2), body);
    else body();
  }

  /** The scale of the own token. */
  #ownScale(part: number): Value<'b32'> {
    if (!isStaged(part)) return this.#scales[part];
    const scales = this.#shared.stagedScales.at(this.#place.ownToken, 0).as('u8');
    return this.#format.read(scales, part - partsInRegisters);
  }

  /** The scale of the lane's `i`-th token. */
  #scaleOf(part: number, i: number): Value<'b32'> {
    const k = this.#k;
    const { firstToken } = this.#place;
    if (!isStaged(part)) {
      return k.shuffle(this.#scales[part] as Value<'b32'>, firstToken.add(i * tokensAtOnce));
    }
    const first = k.mad(warpOf(this.#place), warpTokens, firstToken);
    const scales = this.#shared.stagedScales
      .at(first, 0)
      .at(i * tokensAtOnce * 2)
      .as('u8');
    return this.#format.read(scales, part - partsInRegisters);
  }

  /** Notes where the own token's scale of a part does not let its values be f16. */
  check(part: number, bad: Var<'pred'>): void {
    bad.set(bad.or(this.#format.isOutside(this.#ownScale(part), part)));
  }

  /** Copies rope values, which need no conversion, to a stage; as a group of their own. */
  copyRope(rows: RowFinder, stageBytes: Value<'u32'>): void {
    const k = this.#k;
    const targetOf = this.#targets(stageBytes);
    const sourceBytes = k.select(rows.anyPresent(), 16, 0, 'u32');
    for (let i = 0; i < laneTokens; i++) {
      const to = targetOf(i).bytes(valueTiles * tileBytes);
      k.cpAsync(to.as('u8'), rows.share(i).bytes(ropeOffset(this.#layout)), 16, { sourceBytes });
    }
    // A group closed where it is waited for would also wait for loads that have been started since.
    k.cpAsyncCommit();
  }

  /** Where the lane's chunk of its `i`-th token goes, in the first tile of a stage. */
  #targets(stageBytes: Value<'u32'>): (i: number) => Pointer<'shared', 'b32'> {
    const even = this.#target.bytes(stageBytes).folded();
    // Four tokens further chunks are swapped by fours.
    const odd = new Pointer('shared', 'b32', even.base.xor(4 << 4));
    return (i) => (i % 2 === 0 ? even : odd).bytes(i * tokensAtOnce * tileRowBytes);
  }

  /** Converts a part that has come and stores it in a stage. */
  convert(part: number, stageBytes: Value<'u32'>, element: 'f16' | 'bf16'): void {
    const k = this.#k;
    const targetOf = this.#targets(stageBytes);
    for (let i = 0; i < laneTokens; i++) {
      const scale = this.#scaleOf(part, i);
      const multiply = this.#format.multiplier(scale, this.#place.chunk, element);
      const to = targetOf(i);
      this.#whereScaled(part, () => {
        const raw: readonly Value<'b32'>[] = isStaged(part)
          ? to.bytes(rawOffset(part)).loadVec(4)
          : this.#raw[part][i];
        const pairs = raw.flatMap((word) =>
          e4m3x4ToF16x2(k, word.as('e4m3x4'), { nan: true }).map(multiply),
        );
        for (let tile = 0; tile < partTiles; tile++) {
          const at = to.bytes((part * partTiles + tile) * tileBytes);
          at.storeVec(pairs.slice(4 * tile, 4 * tile + 4));
        }
      });
    }
  }

  /** model1: converts the rope values that {@link copyRope} has brought, and stores them as values. */
  convertRope(stageBytes: Value<'u32'>, element: 'f16' | 'bf16', bad: Var<'pred'>): void {
    const k = this.#k;
    const { chunk } = this.#place;
    const targetOf = this.#targets(stageBytes);
    // Chunk c goes to the tile c mod 2 of the part, behind the four chunks of scaled values.
    const tile = chunk.and(1).mul(tileBytes);
    const moved = chunk
      .shr(1)
      .add(tokenLanes / 2)
      .xor(chunk)
      .shl(4);
    for (let i = 0; i < laneTokens; i++) {
      const from = targetOf(i);
      const words = from.bytes(valueTiles * tileBytes).loadVec(4);
      const to = new Pointer('shared', 'b32', from.base.xor(moved), from.offset).bytes(tile);
      if (element === 'f16') {
        const large = words.map((word) => tooLarge(word)).reduce((a, b) => a.or(b));
        bad.set(bad.or(large.ne(0)));
      }
      to.bytes(model1RopePart * partTiles * tileBytes).storeVec(
        element === 'f16' ? words.map((word) => toF16(k, word)) : words,
      );
    }
  }
}
