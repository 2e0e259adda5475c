import { packedRows } from '../../../../runtime/tensor/packed-rows.ts';
import { encodeE4m3 } from '../../../../runtime/webgpu/wgsl/rows.ts';
import { sparseRows } from '../../../kernel-lib/webgpu/row-format.ts';

/** Where the parts of a packed row are, in words; see `packedRows`. */
export function layoutOf(layout: 'v32' | 'model1') {
  const format = sparseRows(layout, 0);
  const [nope, rope] = format.parts;
  if (!nope || !rope) throw new RangeError(`${layout} rows have two parts`);
  const { rowStride, valueColumns } = packedRows[layout];
  const [rowWords, valueWords] = [rowStride / 4, valueColumns / 4];
  const tile = nope.scaleColumns as number;
  return { nope, rope, tile, rowWords, valueWords, ropeWord: rope.firstUnit * 4 };
}

/** What kernels that find packed rows have in common: {@link placeOf} needs these parameters. */
export const placeParams = {
  page: 'u32',
  packedStart: 'u32',
  blockWords: 'u32',
  rowWords: 'u32',
} as const;

/** The words of a token's row, and those of its scales, in the bound range. */
export function placeOf(layout: 'v32' | 'model1'): string {
  const { rowWords, valueWords } = layoutOf(layout);
  return `
    struct Place { row: u32, scales: u32 }

    fn placeOf(token: u32) -> Place {
      let block = params.packedStart + token / params.page * params.blockWords;
      let offset = token % params.page;
      let row = block + offset * ${layout === 'v32' ? 'params.rowWords' : `${rowWords}u`};
      return Place(row, ${layout === 'v32' ? `row + ${valueWords}u` : `block + params.page * ${rowWords}u + offset * 2u`});
    }`;
}

/** What {@link packRow} needs; `source` holds bf16 rows, `packed` the cache, both as words. */
export const packFunctions = `
      var<workgroup> largest: array<u32, 64>;

      fn codeAt(element: u32) -> u32 { return (source[element >> 1u] >> (16u * (element & 1u))) & 0xffffu; }

      // The smallest power of two that is not below |value| / 448 nor below 2^-13, as its e8m0 code.
      // 448 = 1.75 · 2^8, and a bf16 magnitude tells its exponent and fraction by its bits.
      fn scaleCode(magnitude: u32) -> u32 {
        let exponent = i32(magnitude >> 7u) - 8 + select(0, 1, (magnitude & 0x7fu) > 0x60u);
        let code = u32(max(exponent, 127 - 13));
        return select(select(code, 254u, magnitude == 0x7f80u), 255u, magnitude > 0x7f80u);
      }

      ${encodeE4m3}`;

/**
 * Packs the row of `source` whose element `first` is its first one at `place`: an invocation of the 64
 * takes eight columns, and tiles share their maximum.
 */
export function packRow(layout: 'v32' | 'model1'): string {
  const { nope, rope, tile, ropeWord } = layoutOf(layout);
  const isModel1 = layout === 'model1';
  const invocationsPerTile = tile / 8;
  return `
        let column = thread * 8u;
        let element = first + column;
        let inNope = column < ${nope.columns}u;
        var mine = 0u;
        if (inNope) {
          for (var i = 0u; i < 8u; i++) { mine = max(mine, codeAt(element + i) & 0x7fffu); }
        }
        largest[thread] = mine;
        workgroupBarrier();
        if (inNope) {
          let firstOfTile = thread / ${invocationsPerTile}u * ${invocationsPerTile}u;
          var magnitude = 0u;
          for (var i = 0u; i < ${invocationsPerTile}u; i++) { magnitude = max(magnitude, largest[firstOfTile + i]); }
          let code = scaleCode(magnitude);
          // Dividing by a power of two is exact, and so is multiplying by its inverse.
          let inverse = bitcast<f32>(select((254u - code) << 23u, 0x7fc00000u, code == 255u));
          for (var half = 0u; half < 2u; half++) {
            var word = 0u;
            for (var i = 0u; i < 4u; i++) {
              let code16 = codeAt(element + half * 4u + i);
              let value = bitcast<f32>(code16 << 16u);
              // An infinity saturates whatever the scale.
              let scaled = select(value * inverse, value, (code16 & 0x7fffu) == 0x7f80u);
              word |= e4m3Code(scaled) << (8u * i);
            }
            packed[place.row + thread * 2u + half] = word;
          }
          ${
            isModel1
              ? ''
              : `if (thread == firstOfTile) {
                  packed[place.scales + thread / ${invocationsPerTile}u] = select(code << 23u, 0x7fc00000u, code == 255u);
                }`
          }
        }
        ${
          isModel1
            ? `if (thread < 2u) {
                var word = 0u;
                for (var i = 0u; i < 4u; i++) {
                  let tile = thread * 4u + i;
                  if (tile < ${nope.columns / tile}u) {
                    var magnitude = 0u;
                    for (var k = 0u; k < ${invocationsPerTile}u; k++) { magnitude = max(magnitude, largest[tile * ${invocationsPerTile}u + k]); }
                    word |= scaleCode(magnitude) << (8u * i);
                  }
                }
                packed[place.scales + thread] = word;
              }`
            : ''
        }
        if (thread < ${rope.columns / 2}u) {
          let rope = first + ${nope.columns}u + thread * 2u;
          packed[place.row + ${ropeWord}u + thread] = codeAt(rope) | (codeAt(rope + 1u) << 16u);
        }`;
}
