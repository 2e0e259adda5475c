import { model1RowUnits, sparseRows } from '../attention/row-format.ts';
import { type KernelSource, kernel } from '../wgsl/kernel.ts';
import { decode16, decodeE4m3, decodeE8m0, type E4m3Decoding, encode16 } from '../wgsl/numbers.ts';
import { Params } from '../wgsl/params.ts';
import { join } from '../wgsl/text.ts';

/** Where the parts of a packed row are, in words; see `packedRows`. */
function layoutOf(layout: 'v32' | 'model1') {
  const format = sparseRows(layout, 0);
  const [nope, rope] = format.parts;
  if (!nope || !rope) throw new RangeError(`${layout} rows have two parts`);
  const rowWords = layout === 'v32' ? 164 : model1RowUnits * 4;
  return { nope, rope, tile: nope.scaleColumns as number, rowWords, ropeWord: rope.firstUnit * 4 };
}

const shared = `
// The words of a token's row, and those of its scales, in the bound range.
struct Place { row: u32, scales: u32 }
`;

function placeOf(layout: 'v32' | 'model1', rowWords: number): string {
  return `
    fn placeOf(token: u32) -> Place {
      let block = params.packedStart + token / params.page * params.blockWords;
      let offset = token % params.page;
      let row = block + offset * ${layout === 'v32' ? 'params.rowWords' : `${rowWords}u`};
      return Place(row, ${layout === 'v32' ? 'row + 128u' : `block + params.page * ${rowWords}u + offset * 2u`});
    }`;
}

function params() {
  return new Params({
    tokens: 'u32',
    page: 'u32',
    packedStart: 'u32',
    blockWords: 'u32',
    rowWords: 'u32',
    rows: 'u32',
  });
}

const main = (body: string) => `
@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let token = workgroup.x + workgroup.y * workgroups.x;
  if (token >= params.tokens) { return; }
  let place = placeOf(token);
  ${body}
}`;

/** A workgroup packs a row: an invocation takes eight columns, and tiles share their maximum. */
export function quantizeKernel(layout: 'v32' | 'model1'): KernelSource {
  const { nope, rope, tile, rowWords, ropeWord } = layoutOf(layout);
  const isModel1 = layout === 'model1';
  const invocationsPerTile = tile / 8;
  const width = nope.columns + rope.columns;
  return kernel(
    `quantize ${layout}`,
    params(),
    [
      { name: 'source', access: 'read', element: 'u32' },
      { name: 'packed', access: 'read_write', element: 'u32' },
    ],
    join(
      shared,
      placeOf(layout, rowWords),
      `
      var<workgroup> largest: array<u32, 64>;

      fn codeAt(element: u32) -> u32 { return (source[element >> 1u] >> (16u * (element & 1u))) & 0xffffu; }

      // The smallest power of two that is not below |value| / 448 nor below 2^-13, as its e8m0 code.
      // 448 = 1.75 · 2^8, and a bf16 magnitude tells its exponent and fraction by its bits.
      fn scaleCode(magnitude: u32) -> u32 {
        let exponent = i32(magnitude >> 7u) - 8 + select(0, 1, (magnitude & 0x7fu) > 0x60u);
        let code = u32(max(exponent, 127 - 13));
        return select(select(code, 254u, magnitude == 0x7f80u), 255u, magnitude > 0x7f80u);
      }

      // float32 → e4m3: nearest even, saturating at 448.
      fn e4m3Code(value: f32) -> u32 {
        let bits = bitcast<u32>(value);
        let sign = (bits >> 24u) & 0x80u;
        let magnitude = bits & 0x7fffffffu;
        if (magnitude > 0x7f800000u) { return 0x7fu; }
        if (magnitude >= 0x43e00000u) { return sign | 0x7eu; }
        // Below 2^-6 the steps are 2^-9: adding 2^14 lets the float unit round to them.
        if (magnitude < 0x3c800000u) {
          return sign | (bitcast<u32>(bitcast<f32>(magnitude) + 16384.0) - 0x46800000u);
        }
        let rounded = magnitude + 0x7ffffu + ((magnitude >> 20u) & 1u);
        return sign | min(0x7eu, (rounded >> 20u) - (120u << 3u));
      }`,
      main(`
        let column = thread * 8u;
        let element = params.rows + token * ${width}u + column;
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
          let rope = params.rows + token * ${width}u + ${nope.columns}u + thread * 2u;
          packed[place.row + ${ropeWord}u + thread] = codeAt(rope) | (codeAt(rope + 1u) << 16u);
        }`),
    ),
  );
}

/** A workgroup unpacks a row: an invocation takes four columns at a time. */
export function dequantizeKernel(layout: 'v32' | 'model1', e4m3: E4m3Decoding): KernelSource {
  const { nope, rope, tile, rowWords, ropeWord } = layoutOf(layout);
  const width = nope.columns + rope.columns;
  const scale =
    layout === 'v32'
      ? `bitcast<f32>(packed[place.scales + word * 4u / ${tile}u])`
      : `e8m0((packed[place.scales + word / ${tile}u] >> (8u * (word * 4u / ${tile}u % 4u))) & 0xffu)`;
  return kernel(
    `dequantize ${layout} ${e4m3}`,
    params(),
    [
      { name: 'packed', access: 'read', element: 'u32' },
      { name: 'unpacked', access: 'read_write', element: 'u32' },
    ],
    join(
      shared,
      placeOf(layout, rowWords),
      decode16,
      encode16,
      decodeE4m3(e4m3),
      layout === 'model1' && decodeE8m0,
      main(`
        let first = params.rows + token * ${width / 2}u;
        for (var word = thread; word < ${nope.columns / 4}u; word += 64u) {
          let values = e4m3Quad(packed[place.row + word]) * E4M3_GAIN * ${scale};
          unpacked[first + word * 2u] = bf16Word(values.xy);
          unpacked[first + word * 2u + 1u] = bf16Word(values.zw);
        }
        if (thread < ${rope.columns / 2}u) {
          unpacked[first + ${nope.columns / 2}u + thread] = packed[place.row + ${ropeWord}u + thread];
        }`),
    ),
  );
}
