import { type MemType, type Ops, Pointer, type Value } from '@flash-mla/ptx';
import { packedRows } from '../../../../../runtime/tensor/packed-rows.ts';
import type { RowLookup } from './keys.ts';
import type { MlaTile } from './tile.ts';

/** Tokens of a cache that a query picks by number: block · pageSize + offset. */
export interface PickedTokens {
  readonly cache: Pointer<'global', MemType>;
  /** Elements between blocks. */
  readonly blockStride: Value<'u64'>;
  /** Elements between the tokens of a block. `packed`: rows of `model1`, their scales behind them. */
  readonly tokenStride: Value<'u64'> | 'packed';
  /** Known while building: dividing by it must be cheap. */
  readonly pageSize: number;
  /** Tokens of the cache; whatever is not below this is no token. */
  readonly tokens: Value<'u32'>;
  /** Numbers of the tokens: computed where it is read, so that no register keeps it. */
  indices(): Pointer<'global', 's32'>;
  /** How many of them count. */
  readonly length: Value<'u32'>;
}

/** A second cache, whose tokens come after all tiles of the first. */
export interface SecondCache {
  readonly tokens: PickedTokens;
  /** The first tile of its tokens: computed where it is needed, so that no register keeps it. */
  firstTile(): Value<'u32'>;
}

const nothing = -1;
/** Bytes of a row whose scales lie behind the rows of its block, and of its scales. */
const { rowStride: packedRowBytes, scaleBytes: packedScaleBytes } = packedRows.model1;

/** Finds rows by a query's list of token numbers. */
export function pickedLookup(
  k: Ops,
  tile: MlaTile,
  main: PickedTokens,
  second: SecondCache | undefined,
  rows: readonly Value<'u32'>[],
): RowLookup {
  const found = rows.map(() => k.var('s32', nothing));

  const seekIn = (tokens: PickedTokens, t: Value<'u32'>) => {
    rows.forEach((row, i) => {
      const position = k.mad(t, tile.tokens, row);
      const at = tokens.indices().at(position);
      found[i].set(at.loadIf(position.lt(tokens.length), nothing, { nc: true }));
    });
  };
  return {
    seek(t) {
      if (second === undefined) return seekIn(main, t);
      const first = second.firstTile();
      k.if(
        t.ge(first),
        () => seekIn(second.tokens, t.sub(first)),
        () => seekIn(main, t),
        { uniform: true },
      );
    },
    locate(t, i) {
      const isSecond = second && t.ge(second.firstTile());
      /** A property of the cache that the tile belongs to. */
      const of = <T extends 'u32' | 'u64'>(get: (tokens: PickedTokens) => Value<T>): Value<T> =>
        isSecond ? k.select(isSecond, get(second.tokens), get(main)) : get(main);
      const index = found[i].as('u32');
      const present = index.lt(of(({ tokens }) => tokens));
      const token = k.select<'u32'>(present, index, 0);
      const blockNumber = of(({ pageSize }) => token.div(pageSize));
      const offset = of(({ pageSize }) => token.rem(pageSize));
      const cache = of((tokens) => tokens.cache.address());
      const block = new Pointer('global', main.cache.element, cache).at(
        k.widen(blockNumber).mul(of(({ blockStride }) => blockStride)),
      );
      if (main.tokenStride === 'packed') {
        const rowsBytes = of(({ pageSize }) => k.constant('u32', pageSize * packedRowBytes));
        const scales = block.bytes(rowsBytes).plus(offset, packedScaleBytes);
        return { present, from: block.bytes(offset.mul(packedRowBytes)), scales };
      }
      const stride = of((tokens) => tokens.tokenStride as Value<'u64'>);
      return { present, from: block.at(k.widen(offset).mul(stride)) };
    },
  };
}
