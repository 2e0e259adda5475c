import {
  e4m3x4ToF16x2,
  type Ops,
  Pointer,
  packPair,
  unpackF16x2,
  type Value,
  type Var,
} from '@flash-mla/ptx';
import { tileBytes, valueTiles } from '../hopper/tile.ts';
import type { ProducerPlace } from './place.ts';
import type { RowFinder } from './rows.ts';
import {
  laneTokens,
  partBytes,
  partsInRegisters,
  partTiles,
  ropeOffset,
  type SparseShared,
  scaleOffset,
  tokensAtOnce,
  warpTokens,
} from './tile.ts';

/** Bytes of a row of a tile. */
const tileRowBytes = 128;

/** Scales with which every e4m3 is exact enough in f16: 448 times the largest is in its range. */
const leastScale = 2 ** -14;
const largestScale = 2 ** 7;
const bitsOf = (x: number) => new Uint32Array(Float32Array.of(x).buffer)[0] as number;

/** What loads of rows may assume of caches: no other CTA of the multiprocessor reads them. */
const loadOptions = { nc: true, l1: 'none' } as const;

/** A block's values on their way: raw in registers, part by part, then converted in shared memory. */
export class ValueRows {
  readonly #k: Ops;
  readonly #place: ProducerPlace;
  /** Words of the parts under way, of the lane's tokens. */
  readonly #raw: readonly (readonly (readonly Var<'b32'>[])[])[];
  /** The own token's scale of each of them. */
  readonly #scales: readonly Var<'f32'>[];
  /** Where the lane's chunk of its first token goes, in the first tile of stage 0. */
  readonly #target: Pointer<'shared', 'b32'>;

  constructor(k: Ops, shared: SparseShared, place: ProducerPlace) {
    this.#k = k;
    this.#place = place;
    const perToken = () => Array.from({ length: laneTokens }, () => k.vars('b32', 4, 0));
    this.#raw = Array.from({ length: partsInRegisters }, perToken);
    this.#scales = k.vars('f32', partsInRegisters, 0);
    const row = k.mad(place.warp, warpTokens, place.firstToken);
    const within = place.chunk.xor(place.firstToken).shl(4);
    this.#target = shared.keys.pointer.bytes(row.shl(7).add(within)).folded().as('b32');
  }

  /** Starts to read a part of the rows at hand; zeros where there are none. */
  load(rows: RowFinder, part: number): void {
    const raw = this.#raw[part % partsInRegisters];
    const scale = this.#scales[part % partsInRegisters];
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
        const at = rows.own().bytes(scaleOffset + 4 * part);
        scale.set(at.as('f32').load(loadOptions));
      },
      () => {
        for (const word of raw.flat()) word.set(0);
        scale.set(0);
      },
      { uniform: true },
    );
  }

  /** Notes where the own token's scale of a part does not let its values be f16. */
  check(part: number, bad: Var<'pred'>): void {
    const bits = this.#scales[part % partsInRegisters].as('u32');
    const least = bitsOf(leastScale);
    const isOutside = bits.sub(least).gt(bitsOf(largestScale) - least);
    bad.set(bad.or(isOutside.and(bits.ne(0))));
  }

  /** Copies rope values, which need no conversion, to a stage. */
  copyRope(rows: RowFinder, stageBytes: Value<'u32'>): void {
    const k = this.#k;
    const targetOf = this.#targets(stageBytes);
    const sourceBytes = k.select(rows.anyPresent(), 16, 0, 'u32');
    for (let i = 0; i < laneTokens; i++) {
      const to = targetOf(i).bytes(valueTiles * tileBytes);
      k.cpAsync(to.as('u8'), rows.share(i).bytes(ropeOffset), 16, { sourceBytes });
    }
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
      const scale = k.shuffle(
        this.#scales[part % partsInRegisters] as Value<'f32'>,
        this.#place.firstToken.add(i * tokensAtOnce),
      );
      const multiply = element === 'f16' ? narrowMultiplier(k, scale) : wideMultiplier(k, scale);
      const pairs = this.#raw[part % partsInRegisters][i].flatMap((word) =>
        e4m3x4ToF16x2(k, word.as('e4m3x4'), { nan: true }).map(multiply),
      );
      const to = targetOf(i);
      for (let tile = 0; tile < partTiles; tile++) {
        const at = to.bytes((part * partTiles + tile) * tileBytes);
        at.storeVec(pairs.slice(4 * tile, 4 * tile + 4));
      }
    }
  }
}

type Multiplier = (pair: Value<'f16x2'>) => Value<'b32'>;

function narrowMultiplier(k: Ops, scale: Value<'f32'>): Multiplier {
  const both = packPair(k, 'f16', scale, scale);
  return (pair) => pair.mul(both).as('b32');
}

function wideMultiplier(k: Ops, scale: Value<'f32'>): Multiplier {
  return (pair) => {
    const [lo, hi] = unpackF16x2(k, pair);
    return packPair(k, 'bf16', lo.mul(scale), hi.mul(scale)).as('b32');
  };
}
