import { decodeAll, type HostTensor } from '@flash-mla/core';
import { packedRows } from '../../../runtime/tensor/packed-rows.ts';
import type { Tensor } from '../../../runtime/tensor/tensor.ts';
import type { ExpectedAnswers } from '../../conformance/compare.ts';
import type { ProblemKind } from '../../conformance/problem-kind.ts';
import { exact } from '../../conformance/tolerance.ts';
import { dequantizeKvCache, quantizeKvCache } from '../api/quantize-kv-cache.ts';
import {
  dequantizeKvCache as dequantizeReference,
  quantizeKvCache as quantizeReference,
} from '../reference/index.ts';
import { generateDequantize, generateQuantize } from './generate-conversion.ts';
import type { ConversionParams } from './params.ts';
import type { DequantizeKvCache, QuantizeKvCache } from './problems.ts';

const cost = ({ blocks, page }: ConversionParams) => blocks * page * 576 * 10;

/** `quantizeKvCache`. */
export const quantize: ProblemKind<QuantizeKvCache, ConversionParams> = {
  op: 'quantize',
  cost,
  generate: generateQuantize,
  reference: ({ kCache, layout }) => expectedRows(quantizeReference(kCache, layout)),
  toleranceOf: () => exact,

  prepare(inputs, { layout, kCache }) {
    const [blocks, page] = kCache.shape as [number, number];
    const { rowBytes } = packedRows[layout];
    const data = new Uint8Array(blocks * page * rowBytes).fill(0xa5);
    const empty = { dtype: 'u8', shape: [blocks, page, 1, rowBytes], data } as const;
    const given = inputs.givenOutput('out', empty, layout, (host) =>
      inputs.uploads.putPacked(layout, host),
    );
    const source = inputs.put('kCache', kCache, 'contiguous');
    return inputs.operation(() =>
      inputs.keep({ out: quantizeKvCache({ kCache: source, layout, out: given }) }),
    );
  },
};

/** `dequantizeKvCache`. */
export const dequantize: ProblemKind<DequantizeKvCache, ConversionParams> = {
  op: 'dequantize',
  cost,
  generate: generateDequantize,
  reference: ({ kCache, layout }) => expectedRows(dequantizeReference(kCache, layout)),
  toleranceOf: () => exact,

  prepare(inputs, { layout, kCache }) {
    const [blocks, page] = kCache.shape as [number, number];
    const shape = [blocks, page, 1, packedRows[layout].headDimQk];
    const given = inputs.output('out', shape, 'bf16');
    const source = inputs.putCache('kCache', layout, kCache) as Tensor<'u8'>;
    return inputs.operation(() =>
      inputs.keep({ out: dequantizeKvCache({ kCache: source, layout, out: given }) }),
    );
  },
};

/** A cache as an answer. */
export function expectedRows(cache: HostTensor): ExpectedAnswers {
  return { out: { values: decodeAll(cache), rowLength: cache.shape[3] as number } };
}
