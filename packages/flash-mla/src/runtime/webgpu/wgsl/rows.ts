/** Functions that read and write single elements of rows of any dtype, whose bindings are words. */

export type RowDType = 'bf16' | 'f32';
export type RowOutDType = RowDType | 'e4m3';

const capital = (name: string) => `${name[0]?.toUpperCase()}${name.slice(1)}`;

/** `readName(element)`: an element of the binding `name` as f32; of e4m3 with {@link decodeE4m3Element}. `atomic`: its words are atomic. */
export function rowReader(name: string, dtype: RowOutDType, atomic = false): string {
  const word = (index: string) => (atomic ? `atomicLoad(&${name}[${index}])` : `${name}[${index}]`);
  const value =
    dtype === 'f32'
      ? `bitcast<f32>(${word('element')})`
      : dtype === 'e4m3'
        ? `e4m3Value((${word('element >> 2u')} >> (8u * (element & 3u))) & 0xffu)`
        : `bitcast<f32>(((${word('element >> 1u')} >> (16u * (element & 1u))) & 0xffffu) << 16u)`;
  return `fn read${capital(name)}(element: u32) -> f32 { return ${value}; }`;
}

/**
 * `writeNamePair(element, values)`: two elements that make up whole words; or, where words are atomic,
 * `writeName(element, value)`, which leaves the rest of a word as it is. Of e4m3 rows
 * `writeNameWord(element, word)`, four at once.
 */
export function rowWriter(name: string, dtype: RowOutDType, atomic: boolean): string {
  const store = (index: string, value: string) =>
    atomic ? `atomicStore(&${name}[${index}], ${value})` : `${name}[${index}] = ${value}`;
  if (dtype === 'e4m3') {
    return `fn write${capital(name)}Word(element: u32, word: u32) { ${store('element / 4u', 'word')}; }`;
  }
  if (atomic) {
    const body =
      dtype === 'f32'
        ? `${store('element', 'bitcast<u32>(value)')};`
        : `let shift = 16u * (element & 1u);
           atomicAnd(&${name}[element >> 1u], 0xffff0000u >> shift);
           atomicOr(&${name}[element >> 1u], bf16Code(value) << shift);`;
    return `fn write${capital(name)}(element: u32, value: f32) { ${body} }`;
  }
  const body =
    dtype === 'f32'
      ? `${store('element', 'bitcast<u32>(values.x)')}; ${store('element + 1u', 'bitcast<u32>(values.y)')};`
      : `${store('element >> 1u', 'bf16Word(values)')};`;
  return `fn write${capital(name)}Pair(element: u32, values: vec2<f32>) { ${body} }`;
}

/** `e4m3Value(code)`, which {@link rowReader} of e4m3 needs. */
export const decodeE4m3Element = `
fn e4m3Value(code: u32) -> f32 {
  let magnitude = code & 0x7fu;
  let normal = (magnitude << 20u) + 0x3c000000u;
  let small = bitcast<u32>(f32(magnitude) * 0.001953125);
  let finite = select(normal, small, magnitude < 8u);
  return bitcast<f32>(select(finite, 0x7fc00000u, magnitude == 0x7fu) | ((code & 0x80u) << 24u));
}`;

/** `e4m3Code(value)`: float32 → e4m3, nearest even, saturating at 448. */
export const encodeE4m3 = `
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
}`;
