import { type MemType, type Ops, Pointer, type Value } from '@flash-mla/ptx';
import type { RowLookup } from './keys.ts';
import type { MlaTile } from './tile.ts';

/** Tokens of a cache that a query picks by number: block · pageSize + offset. */
export interface PickedTokens {
  readonly cache: Pointer<'global', MemType>;
  /** Elements between blocks. */
  readonly blockStride: Value<'u64'>;
  /** Elements between the tokens of a block. */
  readonly tokenStride: Value<'u64'> | number;
  /** Known while building: dividing by it must be cheap. */
  readonly pageSize: number;
  /** Tokens of the cache; whatever is not below this is no token. */
  readonly tokens: Value<'u32'>;
  /** Numbers of the tokens: computed where it is read, so that no register keeps it. */
  indices(): Pointer<'global', 's32'>;
  /** How many of them count. */
  readonly length: Value<'u32'>;
  /** Bytes of scales per token, if they lie behind the rows of a block. */
  readonly scaleBytes: 0 | 8;
}

/** A second cache, whose tokens come after all tiles of the first. */
export interface SecondCache {
  readonly tokens: PickedTokens;
  /** The first tile of its tokens. */
  readonly firstTile: Value<'u32'>;
}

const nothing = -1;

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
  const locateIn = (tokens: PickedTokens, i: number) => {
    const index = found[i].as('u32');
    const present = index.lt(tokens.tokens);
    const token = k.select<'u32'>(present, index, 0);
    const offset = token.rem(tokens.pageSize);
    const block = tokens.cache.at(k.widen(token.div(tokens.pageSize)).mul(tokens.blockStride));
    const stride = tokens.tokenStride;
    const from =
      typeof stride === 'number'
        ? block.at(offset.mul(stride))
        : block.at(k.widen(offset).mul(stride));
    if (tokens.scaleBytes === 0) return { present, from };
    const rowsBytes = tokens.pageSize * (typeof stride === 'number' ? stride : 0);
    return { present, from, scales: block.bytes(rowsBytes).plus(offset, tokens.scaleBytes) };
  };

  if (second === undefined) {
    return { seek: (t) => seekIn(main, t), locate: (_t, i) => locateIn(main, i) };
  }
  const isSecond = (t: Value<'u32'>) => t.ge(second.firstTile);
  return {
    seek(t) {
      k.if(
        isSecond(t),
        () => seekIn(second.tokens, t.sub(second.firstTile)),
        () => seekIn(main, t),
        { uniform: true },
      );
    },
    locate(t, i) {
      const present = k.var('pred', false);
      const from = k.var('u64', 0);
      const scales = k.var('u64', 0);
      const choose = (tokens: PickedTokens) => {
        const row = locateIn(tokens, i);
        present.set(row.present);
        from.set(row.from.address());
        if (row.scales !== undefined) scales.set(row.scales.address());
      };
      k.if(
        isSecond(t),
        () => choose(second.tokens),
        () => choose(main),
        { uniform: true },
      );
      return {
        present,
        from: new Pointer('global', main.cache.element, from),
        scales: main.scaleBytes > 0 ? new Pointer('global', 'u8', scales) : undefined,
      };
    },
  };
}
