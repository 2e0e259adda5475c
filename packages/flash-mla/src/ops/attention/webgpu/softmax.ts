import { each } from '../../../runtime/webgpu/wgsl/text.ts';
import { type AttentionConfig, attentionShape, lanes } from './config.ts';

/**
 * Online softmax in base 2. An invocation keeps the running maximum and its own share of the running
 * sum for the rows of one vector, `vectorOfLane`; all invocations of a vector hold the same maximum.
 */

/** Which vector of rows, and which tokens of its quad, the items of a lane belong to. */
export function laneVector(config: AttentionConfig): string {
  const { itemsPerLane } = attentionShape(config);
  return `lane * ${itemsPerLane}u / ${config.tokensPerQuad}u`;
}

/** Items → weights in workgroup memory, and the factor of what was summed up so far in `perRow`. */
export function tileWeights(config: AttentionConfig): string {
  const { tokensPerQuad, causal } = config;
  const { itemsPerLane, vectors, weightOffset, width } = attentionShape(config);
  const position = width === 1 ? 'u32' : `vec${width}<u32>`;
  return `
    let firstSlot = quad * ${tokensPerQuad}u + lane * ${itemsPerLane}u % ${tokensPerQuad}u;
    ${each(itemsPerLane, (k) => {
      const hidden = `select(item${k}, Vector(MASKED), keyAt[firstSlot + ${k}u] == NOWHERE)`;
      return causal
        ? `let logit${k} = select(${hidden}, Vector(MASKED), ${position}(tile + firstSlot + ${k}u) >= limit);`
        : `let logit${k} = ${hidden};`;
    })}
    ${reduceOverTokens(config, 'max', fold('max', itemsPerLane, 'logit'), 'tileMaximum')}
    let previous = maximum;
    maximum = max(maximum, tileMaximum);
    let keep = exp2(previous - maximum);
    sum *= keep;
    ${each(
      itemsPerLane,
      (k) => `
        let weight${k} = select(exp2(logit${k} - maximum), Vector(), logit${k} <= Vector(MASKED));
        sum += weight${k};
        pool[${weightOffset}u + (firstSlot + ${k}u) * ${vectors}u + vectorOfLane] = weight${k};`,
    )}
    if (quad == 0u) {
      ${each(width, (k) => `perRow[vectorOfLane * ${width}u + ${k}u] = keep${width === 1 ? '' : `[${k}]`};`)}
    }
    workgroupBarrier();`;
}

function fold(operation: 'max', count: number, name: string): string {
  return Array.from({ length: count }, (_, k) => `${name}${k}`).reduce(
    (left, right) => `${operation}(${left}, ${right})`,
  );
}

/**
 * One value per invocation → `result`, the same in all invocations of a vector: first 8 × 4
 * invocations take 8 quads each, then everyone takes those 8. Ends after everyone has read.
 */
export function reduceOverTokens(
  config: AttentionConfig,
  operation: 'max' | 'sum',
  value: string,
  result: string,
): string {
  const { vectors, weightOffset } = attentionShape(config);
  const merge = (a: string, b: string) => (operation === 'max' ? `max(${a}, ${b})` : `${a} + ${b}`);
  const lanesOfVector = lanes / vectors;
  return `
    pool[${weightOffset}u + thread] = ${value};
    workgroupBarrier();
    if (thread < 32u) {
      let first = ${weightOffset}u + thread / 4u * 32u + lane;
      var merged = pool[first];
      for (var i = 1u; i < 8u; i++) { merged = ${merge('merged', 'pool[first + i * 4u]')}; }
      partials[thread] = merged;
    }
    workgroupBarrier();
    var ${result} = partials[vectorOfLane * ${lanesOfVector}u];
    for (var i = 1u; i < ${8 * lanesOfVector}u; i++) {
      ${result} = ${merge(result, `partials[i / ${lanesOfVector}u * 4u + vectorOfLane * ${lanesOfVector}u + i % ${lanesOfVector}u]`)};
    }`;
}
