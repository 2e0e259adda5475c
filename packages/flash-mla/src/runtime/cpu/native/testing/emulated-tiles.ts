/** Tile registers in memory, for tests of kernels on processors without AMX. */

import type { KernelBuilder, Memory, Tile, Zmm } from '@flash-mla/machine-code';

const rowBytes = 64;
const rows = 16;
/** Bytes of a tile. */
const tileBytes = rows * rowBytes;
/** Bytes that the eight tiles take. */
export const emulatedTileBytes = 8 * tileBytes;

type TileMemory = Memory<'gpr64'>;

/**
 * A builder whose tiles lie at `address`: loads, stores and products of tiles are made of AVX-512 instructions
 * with the same results. Takes two general-purpose registers and a vector at a time. Tiles are whole.
 */
export function withEmulatedTiles(k: KernelBuilder, address: bigint): KernelBuilder {
  const eachRow = (place: TileMemory, visit: (row: TileMemory, tile: TileMemory) => void) => {
    return (tile: Tile) =>
      k.scope(() => {
        const row = k.gpr('row');
        const { base, index, displacement } = place;
        if (index === undefined || index.scale !== 1) throw new Error('a stride, not scaled');
        k.lea(row, place.plus(0));
        k.sub(row, index.register as never);
        const at = k.gpr('tile', address + BigInt(tile.number * tileBytes));
        for (let r = 0; r < rows; r++) {
          visit(row.at(), at.at(r * rowBytes));
          k.add(row, index.register as never);
        }
        void [base, displacement];
      });
  };
  const load = (tile: Tile, place: TileMemory) =>
    eachRow(place, (row, at) =>
      k.scope(() => {
        const x = k.zmm('x');
        k.vmovups(x, row);
        k.vmovups(at, x);
      }),
    )(tile);
  const emulated = {
    configureTiles: () => {},
    tilezero: (tile: Tile) =>
      k.scope(() => {
        const at = k.gpr('tile', address + BigInt(tile.number * tileBytes));
        const x = k.zmm('x');
        k.vpxord(x, x, x);
        for (let r = 0; r < rows; r++) k.vmovups(at.at(r * rowBytes), x);
      }),
    tileloadd: load,
    tileloaddt1: load,
    tilestored: (place: TileMemory, tile: Tile) =>
      eachRow(place, (row, at) =>
        k.scope(() => {
          const x = k.zmm('x');
          k.vmovups(x, at);
          k.vmovups(row, x);
        }),
      )(tile),
    tdpbf16ps: (sum: Tile, left: Tile, right: Tile) =>
      k.scope(() => {
        const at = k.gpr('tiles', address);
        const sums = k.zmms('sums', rows);
        const column = k.zmm('column');
        const of = (tile: Tile, row: number) => tile.number * tileBytes + row * rowBytes;
        for (const [r, x] of sums.entries()) k.vmovups(x, at.at(of(sum, r)));
        for (let pair = 0; pair < 16; pair++) {
          k.vmovups(column, at.at(of(right, pair)));
          for (const [r, x] of sums.entries()) {
            k.vdpbf16ps(x as Zmm, column, at.at(of(left, r) + 4 * pair).broadcast());
          }
        }
        for (const [r, x] of sums.entries()) k.vmovups(at.at(of(sum, r)), x);
      }),
  };
  return { ...k, ...emulated } as unknown as KernelBuilder;
}
