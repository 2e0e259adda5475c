import { normalCodes, type Random } from '../../../conformance/suite/random.ts';
import { poison } from '../../../conformance/upload.ts';
import type { PrefillParams } from '../params.ts';
import type { SparsePrefill } from '../problems.ts';
import { drawIndices } from './indices.ts';
import { drawTopkLengths } from './lengths.ts';
import { keyDeviation, queryDeviation } from './logits.ts';
import { normalTensor } from './paged.ts';
import { drawSink } from './sink.ts';

/** FlashMLA's. */
const smScale = 0.5;

export function generatePrefill(params: PrefillParams, random: Random): SparsePrefill {
  const { sQ, sKv, topk, hQ, hKv = 1, dQk, invalid, lengths = false, sink } = params;
  const topkLength = lengths ? drawTopkLengths(sQ, topk, random) : undefined;
  const indices = new Int32Array(sQ * hKv * topk);
  const used = new Uint8Array(sKv * hKv);
  const rows = Int32Array.from({ length: sKv }, (_, i) => i);
  for (let i = 0; i < sQ * hKv; i++) {
    const s = Math.floor(i / hKv);
    const isInvalid = invalid === 'all' || (invalid === 'rows' && s % 2 === 1);
    // Every fourth query names few rows, so that whole blocks of a kernel hold no valid index.
    const slots = s % 4 === 3 ? rows.subarray(0, Math.ceil(sKv / 8)) : rows;
    const row = { slots, topk, capacity: sKv, invalid: isInvalid, repeated: false };
    const drawn = drawIndices(row, random);
    indices.set(drawn, i * topk);
    const attended = Math.min(topk, Math.max(0, topkLength?.[s] ?? topk));
    for (const slot of drawn.subarray(0, attended)) {
      if (slot >= 0 && slot < sKv) used[slot * hKv + (i % hKv)] = 1;
    }
  }
  const kv = poison('bf16', sKv * hKv * dQk);
  const codes = normalCodes('bf16', keyDeviation, 1);
  const values = random.stream('kv');
  used.forEach((isUsed, row) => {
    if (isUsed) values.fill(kv, row * dQk, dQk, codes);
  });
  const deviation = queryDeviation(params.sharpness, dQk, smScale);
  return {
    op: 'sparse-prefill',
    q: normalTensor('bf16', [sQ, hQ, dQk], deviation, random.stream('q')),
    kv: { dtype: 'bf16', shape: [sKv, hKv, dQk], data: kv },
    indices: { dtype: 'i32', shape: [sQ, hKv, topk], data: indices },
    smScale,
    dV: 512,
    attnSink: sink && drawSink(sink, hQ, random.stream('sink')),
    topkLength: topkLength && { dtype: 'i32', shape: [sQ], data: topkLength },
  };
}
