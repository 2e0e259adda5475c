import { nanFunctions } from '../../../runtime/webgpu/wgsl/numbers.ts';
import { each, join } from '../../../runtime/webgpu/wgsl/text.ts';
import { type AttentionConfig, attentionShape } from './config.ts';
import { sinkShare } from './sink.ts';
import { reduceOverTokens } from './softmax.ts';
import { eachOutput } from './values.ts';
import { list, type Work } from './work.ts';

/** Functions that {@link finishPiece} calls. */
export function finishFunctions(config: AttentionConfig): string {
  return join(nanFunctions, config.lists.includes('sink') && sinkShare);
}

/**
 * Ends a piece: adds up sums and token groups, divides, and writes. Decoding writes float32 and the
 * base-2 lse to the workspace, for the combine kernel; the others write their results.
 */
export function finishPiece(config: AttentionConfig, work: Work): string {
  const { rows, headDimV } = config;
  const { vectors, width, weightOffset } = attentionShape(config);
  const element = (offset: number) =>
    `pool[${weightOffset + offset}u + thread / ${width}u]${width === 1 ? '' : `[thread % ${width}u]`}`;
  return `
    ${reduceOverTokens(config, 'sum', 'sum', 'total')}
    if (quad == 0u && lane % ${4 / vectors}u == 0u) {
      pool[${weightOffset}u + vectorOfLane] = total;
      pool[${weightOffset + vectors}u + vectorOfLane] = maximum;
    }
    workgroupBarrier();
    if (thread < ${rows}u && outputRow[thread] != NOWHERE) {
      let row = firstRow + thread;
      let at = outputRow[thread];
      let sumOfRow = ${element(0)};
      let maximumOfRow = ${element(vectors)};
      let isEmpty = sumOfRow == 0.0;
      let isNan = !isFinite(sumOfRow);
      let lse2 = select(maximumOfRow + log2(sumOfRow), toNan(sumOfRow), isNan);
      var factor = select(select(1.0 / sumOfRow, 0.0, isEmpty), lse2, isNan);
      ${
        work.results === 'partial'
          ? `workspace[at * ${workspacePitch(headDimV)}u + ${headDimV / 4}u] = vec4(select(lse2, MASKED, isEmpty), 0.0, 0.0, 0.0);`
          : finalRow(config, work)
      }
      perRow[thread] = factor;
    }
    workgroupBarrier();
    ${addTokenGroups(config)}
    if (tokenGroup == 0u) { ${writeRows(config, work)} }
    workgroupBarrier();`;
}

/** Writes what a row has besides its output, and applies the sink to `factor`. */
function finalRow(config: AttentionConfig, work: Work & { results: 'final' }): string {
  const { lists } = config;
  return join(
    `lse[params.lse + ${work.lseIndex('row', 'at')}] = select(bitcast<u32>(lse2 * LN2), 0x7f800000u, isEmpty);`,
    work.maxLogits &&
      `let logit = select(bitcast<u32>(maximumOfRow * LN2), 0xff800000u, isEmpty);
      maxLogits[params.maxLogits + at] = select(logit, bitcast<u32>(lse2), isNan);`,
    work.head &&
      lists.includes('sink') &&
      `factor *= sinkShare(lse2, u32(${list(config, 'sink', work.head('row'))}));`,
  );
}

/** Vectors of the workspace that a row takes: its output, then its lse. */
export function workspacePitch(headDimV: number): number {
  return headDimV / 4 + 1;
}

/** The outputs of token groups 1, 2, … travel through the place of the queries to group 0. */
function addTokenGroups(config: AttentionConfig): string {
  const { tokenGroups, rowGroups } = config;
  const { columnSlots, columnVectors, width } = attentionShape(config);
  if (tokenGroups === 1) return '';
  const stride = columnSlots * rowGroups;
  const perVector = 4 / width;
  const place = (r: number, c: number, i: number) =>
    `pool[${((r * columnVectors + c) * perVector + i) * stride}u + mine]`;
  const slice = ['xyzw'.slice(0, width), 'xyzw'.slice(width, 2 * width), 'z', 'w'];
  const gather = (r: number, c: number) =>
    `vec4(${Array.from({ length: perVector }, (_, i) => place(r, c, i)).join(', ')})`;
  return `
    let mine = thread % ${stride}u;
    for (var g = 1u; g < ${tokenGroups}u; g++) {
      if (tokenGroup == g) {
        ${eachOutput(config, (r, c) => each(perVector, (i) => `${place(r, c, i)} = out_${r}_${c}.${slice[i]};`))}
      }
      workgroupBarrier();
      if (tokenGroup == 0u) { ${eachOutput(config, (r, c) => `out_${r}_${c} += ${gather(r, c)};`)} }
      workgroupBarrier();
    }`;
}

function writeRows(config: AttentionConfig, work: Work): string {
  const { headDimV } = config;
  const { rowsPerInvocation, columnVectors } = attentionShape(config);
  const word = config.query === 'f16' ? 'f16Word' : 'bf16Word';
  return each(rowsPerInvocation, (r) => {
    const partial = () => `
      let at = place * ${workspacePitch(headDimV)}u + firstColumn / 4u;
      ${each(columnVectors, (c) => `workspace[at + ${c}u] = out_${r}_${c} * factor;`)}`;
    const final = () => `
      let at = params.output + (place * ${headDimV}u + firstColumn) / 2u;
      ${each(
        columnVectors,
        (c) => `
          let value${c} = out_${r}_${c} * factor;
          output[at + ${2 * c}u] = ${word}(value${c}.xy);
          output[at + ${2 * c + 1}u] = ${word}(value${c}.zw);`,
      )}`;
    return `{
      let place = outputRow[firstOutputRow + ${r}u];
      let factor = perRow[firstOutputRow + ${r}u];
      if (place != NOWHERE) { ${work.results === 'partial' ? partial() : final()} }
    }`;
  });
}
