import { each, repeat } from '../../../runtime/webgpu/wgsl/text.ts';
import type { RowPart } from '../../kernel-lib/webgpu/row-format.ts';
import { type AttentionConfig, attentionShape, lanes } from './config.ts';
import { decodeWord, partScale, wordColumns } from './rows.ts';

/**
 * Logits of a tile. A quad takes `tokensPerQuad` tokens; each of its lanes multiplies every fourth
 * 16-byte unit of their rows with the queries, and the lanes then exchange partial sums so that each
 * ends with the whole sums of `itemsPerLane` vectors, `item0`, `item1`, …
 */
export function tileLogits(config: AttentionConfig): string {
  const { tokensPerQuad, keys } = config;
  const { vectors, queryOffsets } = attentionShape(config);
  return `
    ${each(
      tokensPerQuad,
      (n) => `
        let slot${n} = quad * ${tokensPerQuad}u + ${n}u;
        let row${n} = select(keyAt[slot${n}], 0u, keyAt[slot${n}] == NOWHERE);
        ${each(vectors, (g) => `var sum_${g}_${n} = Vector();`)}`,
    )}
    ${keys.parts.map((part, p) => multiplyPart(config, part, queryOffsets[p] as number)).join('\n')}
    ${scatterSums(config)}`;
}

function multiplyPart(config: AttentionConfig, part: RowPart, queryOffset: number): string {
  const { tokensPerQuad, keys } = config;
  const { vectors } = attentionShape(config);
  const { units, unitColumns, firstUnit, scaleColumns, dtype } = part;
  const steps = Math.ceil(units / lanes);
  const ragged = units % lanes !== 0;
  const columns = wordColumns(dtype);
  const load = (n: number, i: string) => {
    const unit = `(${firstUnit}u + (${i}) * ${lanes}u + lane)`;
    const words = `keys16(row${n} + ${unit} * KEYS_STEP)`;
    return ragged ? `select(vec4<u32>(), ${words}, (${i}) * ${lanes}u + lane < ${units}u)` : words;
  };
  const tile = `(i * ${lanes}u + lane) * ${unitColumns}u / ${scaleColumns}u`;
  return `{
    ${each(tokensPerQuad, (n) => `var ahead${n} = ${load(n, '0u')};`)}
    for (var i = 0u; i < ${steps}u; i++) {
      ${each(tokensPerQuad, (n) => `let raw${n} = ahead${n};`)}
      let next = min(i + 1u, ${steps - 1}u);
      ${each(tokensPerQuad, (n) => `ahead${n} = ${load(n, 'next')};`)}
      ${each(tokensPerQuad, (n) => {
        const scale = partScale(part, keys.scaleWords, `slot${n}`, tile);
        return scale === undefined ? '' : `let scale${n} = ${scale};`;
      })}
      let column = ${queryOffset}u + i * ${unitColumns * vectors * lanes}u + lane;
      ${repeat(
        config.unrollWords,
        'w',
        4,
        (w) => `
          ${each(tokensPerQuad, (n) => {
            const scaled = scaleColumns !== undefined || dtype === 'e4m3' ? ` * scale${n}` : '';
            return `let key${n} = ${decodeWord(dtype, `raw${n}[${w}]`)}${scaled};`;
          })}
          ${each(columns, (c) =>
            each(vectors, (g) => {
              const place = (c * vectors + g) * lanes;
              return `{
                let query = pool[column + ${w} * ${columns * vectors * lanes}u + ${place}u];
                ${each(tokensPerQuad, (n) => `sum_${g}_${n} += query * key${n}[${c}];`)}
              }`;
            }),
          )}`,
      )}
    }
  }`;
}

/** Two exchanges with the neighbours of a quad: each lane keeps half of what it holds, twice. */
function scatterSums(config: AttentionConfig): string {
  const { tokensPerQuad } = config;
  const { items, itemsPerLane } = attentionShape(config);
  const item = (i: number) => `sum_${Math.floor(i / tokensPerQuad)}_${i % tokensPerQuad}`;
  const half = items / 2;
  return `
    let upper = (lane & 2u) != 0u;
    let odd = (lane & 1u) != 0u;
    ${exchange(config, 'Y', half, (i) => `select(${item(i + half)}, ${item(i)}, upper)`, 'swapped')}
    ${each(half, (i) => `let half${i} = select(${item(i)}, ${item(i + half)}, upper) + swapped${i};`)}
    ${exchange(config, 'X', itemsPerLane, (i) => `select(half${i + itemsPerLane}, half${i}, odd)`, 'given')}
    ${each(itemsPerLane, (i) => `let item${i} = select(half${i}, half${i + itemsPerLane}, odd) + given${i};`)}`;
}

/** Swaps `count` vectors between lanes 0-2 and 1-3 (`Y`), or 0-1 and 2-3 (`X`), of each quad. */
function exchange(
  config: AttentionConfig,
  direction: 'X' | 'Y',
  count: number,
  give: (i: number) => string,
  name: string,
): string {
  if (config.exchange === 'quads') {
    return each(count, (i) => `let ${name}${i} = quadSwap${direction}(${give(i)});`);
  }
  const { itemsPerLane, weightOffset } = attentionShape(config);
  const partner = direction === 'X' ? 'thread ^ 1u' : 'thread ^ 2u';
  // The weights' place holds `itemsPerLane` vectors of each invocation.
  return each(count / itemsPerLane, (round) => {
    const place = (k: number, who: string) => `pool[${weightOffset + 256 * k}u + (${who})]`;
    return `
      ${each(itemsPerLane, (k) => `${place(k, 'thread')} = ${give(round * itemsPerLane + k)};`)}
      workgroupBarrier();
      ${each(itemsPerLane, (k) => `let ${name}${round * itemsPerLane + k} = ${place(k, partner)};`)}
      workgroupBarrier();`;
  });
}
