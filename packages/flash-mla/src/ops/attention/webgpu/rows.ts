import { join } from '../../../runtime/webgpu/wgsl/text.ts';
import type { PartDType, RowPart } from '../../kernel-lib/webgpu/row-format.ts';

/**
 * Reading rows. Addresses count units of `alignment` bytes; `STEP` of them make 16 bytes. Several
 * bindings stand one after the other in one address space, so that a cache may be larger than a
 * binding and a second cache may follow the first.
 */
export function rowReader(
  name: 'keys' | 'values',
  alignment: 1 | 4 | 16,
  bindings: number,
): string {
  const step = 16 / alignment;
  const wide = alignment === 16;
  const type = wide ? 'vec4<u32>' : 'u32';
  const at = alignment === 1 ? 'at >> 2u' : 'at';
  const element =
    bindings === 1
      ? `fn ${name}Element(at: u32) -> ${type} { return ${name}0[at]; }`
      : `fn ${name}Element(at: u32) -> ${type} {
          ${Array.from({ length: bindings - 1 }, (_, i) =>
            i === 0
              ? `if (at < params.${name}End0) { return ${name}0[at]; }`
              : `if (at < params.${name}End${i}) { return ${name}${i}[at - params.${name}End${i - 1}]; }`,
          ).join('\n')}
          return ${name}${bindings - 1}[at - params.${name}End${bindings - 2}];
        }`;
  const read = wide
    ? `return ${name}Element(at);`
    : alignment === 4
      ? `return vec4(${[0, 1, 2, 3].map((i) => `${name}Element(at + ${i}u)`).join(', ')});`
      : `let first = ${at};
        let shift = (at & 3u) * 8u;
        let low = vec4(${[0, 1, 2, 3].map((i) => `${name}Element(first + ${i}u)`).join(', ')});
        let high = vec4(low.yzw, ${name}Element(first + 4u));
        return (low >> vec4(shift)) | ((high << vec4(1u)) << vec4(31u - shift));`;
  return `
    const ${name.toUpperCase()}_STEP = ${step}u;
    ${element}
    fn ${name}16(at: u32) -> vec4<u32> { ${read} }`;
}

/** Storage bindings and parameters of a {@link rowReader}. */
export function rowBindings(name: 'keys' | 'values', alignment: 1 | 4 | 16, bindings: number) {
  const element = alignment === 16 ? ('vec4<u32>' as const) : ('u32' as const);
  return {
    storage: Array.from({ length: bindings }, (_, i) => ({
      name: `${name}${i}`,
      access: 'read' as const,
      element,
    })),
    // Elements before the end of each binding but the last.
    params: Object.fromEntries(
      Array.from({ length: bindings - 1 }, (_, i) => [`${name}End${i}`, 'u32' as const]),
    ),
  };
}

/** The values of one word as a vector of {@link wordColumns}; e4m3 as multiples of 1 / E4M3_GAIN. */
export function decodeWord(dtype: PartDType, word: string): string {
  return dtype === 'e4m3' ? `e4m3Quad(${word})` : `${dtype}Pair(${word})`;
}

export function wordColumns(dtype: PartDType): number {
  return dtype === 'e4m3' ? 4 : 2;
}

/** The factor of a part's values: the scale of the row's tile `tile`, without one the gain of e4m3. */
export function partScale(part: RowPart, scaleWords: number, slot: string, tile: string) {
  if (part.scaleColumns !== undefined) {
    return scaleWords === 4
      ? `bitcast<f32>(scaleWords[${slot} * 4u + ${tile}])`
      : `e8m0((scaleWords[${slot} * 2u + (${tile}) / 4u] >> (8u * ((${tile}) % 4u))) & 0xffu) * E4M3_GAIN`;
  }
  return part.dtype === 'e4m3' ? 'E4M3_GAIN' : undefined;
}

/**
 * `count` columns from decoded words as vec4, from column `count · share` of the 16 bytes in `raw` on.
 * Statements that define `<name>0` and, for 8 columns, `<name>1`.
 */
export function decodeColumns(
  part: RowPart,
  count: 4 | 8,
  raw: string,
  share: string,
  name: string,
  scale: string | undefined,
): string {
  const words = count / wordColumns(part.dtype);
  const factor = scale === undefined ? '' : ` * ${name}Scale`;
  const vectors =
    part.dtype === 'e4m3'
      ? Array.from({ length: words }, (_, i) => decodeWord('e4m3', `${name}Word${i}`))
      : Array.from(
          { length: words / 2 },
          (_, i) =>
            `vec4(${decodeWord(part.dtype, `${name}Word${2 * i}`)}, ${decodeWord(part.dtype, `${name}Word${2 * i + 1}`)})`,
        );
  return join(
    scale !== undefined && `let ${name}Scale = ${scale};`,
    ...Array.from(
      { length: words },
      (_, i) => `let ${name}Word${i} = ${pick(raw, words, share, i)};`,
    ),
    ...vectors.map((vector, i) => `${name}${i} = ${vector}${factor};`),
  );
}

/** Word `i` of the `share`-th group of `words` words of a vec4. */
function pick(raw: string, words: number, share: string, i: number): string {
  const xyzw = ['x', 'y', 'z', 'w'];
  if (words === 4) return `${raw}.${xyzw[i]}`;
  if (words === 2) return `select(${raw}.${xyzw[i]}, ${raw}.${xyzw[i + 2]}, ${share} == 1u)`;
  return `${raw}[${share}]`;
}
