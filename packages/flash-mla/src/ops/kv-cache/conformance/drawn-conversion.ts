import type { HostTensor } from '@flash-mla/core';
import {
  callSpace,
  type PropertyOperation,
  reduced,
} from '../../conformance/property/operation.ts';
import { choice, integer } from '../../conformance/property/parameters.ts';
import { caseCost } from '../../conformance/suite/cost.ts';
import type { Random } from '../../conformance/suite/random.ts';
import { dequantize, quantize } from './conversion.ts';
import { generateDequantize, generateQuantize } from './generate-conversion.ts';

const space = {
  ...callSpace,
  layout: choice('v32', 'model1'),
  blocks: integer(1, 8),
  page: integer(1, 130, { usual: [64, 64, 16, 1] }),
  /** `codes`: bf16 numbers of every kind, down to subnormals and up to the largest. */
  rows: choice('normal', 'codes'),
};

/** `quantizeKvCache`. */
export const drawnQuantize: PropertyOperation<typeof space> = {
  kind: quantize,
  share: 1,
  space,
  normalize: bounded,
  cost: ({ layout, blocks, page }) => caseCost(quantize, { op: 'quantize', layout, blocks, page }),
  build(values, random) {
    const problem = generateQuantize({ ...values, op: 'quantize' }, random);
    const { kCache } = problem;
    if (values.rows === 'codes') fillCodes(kCache, random.stream('codes'));
    return { steps: [problem], valueSize: 1 };
  },
};

/** `dequantizeKvCache`. */
export const drawnDequantize: PropertyOperation<typeof space> = {
  kind: dequantize,
  share: 1,
  space,
  normalize: (values) => ({ ...bounded(values), rows: 'normal' }),
  cost: ({ layout, blocks, page }) =>
    caseCost(dequantize, { op: 'dequantize', layout, blocks, page }),
  build: (values, random) => ({
    steps: [generateDequantize({ ...values, op: 'dequantize' }, random)],
    valueSize: 1,
  }),
};

type ConversionValues = Parameters<typeof drawnQuantize.build>[0];

function bounded(values: ConversionValues): ConversionValues {
  const { page } = values;
  return { ...values, steps: 1, blocks: reduced(values.blocks, 1, (n) => n * page <= 260) };
}

/** Any finite code: rows of one size each, so that not every tile has a huge value. */
function fillCodes({ data, shape }: HostTensor<'bf16'>, random: Random): void {
  const width = shape[3] as number;
  for (let row = 0; row < data.length / width; row++) {
    const largest = random.pick([0x0080, 0x3000, 0x3f80, 0x4000, 0x7f80]);
    for (let c = 0; c < width; c++) {
      data[row * width + c] = random.integer(0, largest - 1) | (random.chance(0.5) ? 0x8000 : 0);
    }
  }
}
