import { encodeElements, type HostTensor } from '@flash-mla/core';
import type { Answers } from '../../conformance/problem.ts';
import { poison } from '../../conformance/upload.ts';
import type { VarlenAttention } from './problems.ts';

/**
 * Rows of q that no request owns leave the outputs as they were. Fills what they left with what the
 * reference says of rows without keys.
 */
export function fillUnowned(
  problem: VarlenAttention,
  { out, lse }: Answers,
  wasPoisoned: boolean,
): string | undefined {
  if (!out || !lse) return undefined;
  const [totalQ, hQ, dV] = out.shape as [number, number, number];
  const owned = ownedRows(problem.cuSeqlensQo.data, totalQ);
  let wrong: string | undefined;
  for (let row = 0; row < totalQ; row++) {
    if (owned[row] === 1) continue;
    let wasWritten = replace(out, row * hQ * dV, hQ * dV, 0);
    for (let h = 0; h < hQ; h++) {
      if (replace(lse, h * totalQ + row, 1, Number.POSITIVE_INFINITY)) wasWritten = true;
    }
    if (wasWritten && wasPoisoned) wrong ??= `row ${row}, which no request owns, was written to`;
  }
  return wrong;
}

function ownedRows(offsets: Int32Array, total: number): Uint8Array {
  const owned = new Uint8Array(total);
  for (let i = 0; i + 1 < offsets.length; i++) {
    const begin = Math.max(0, offsets[i] as number);
    owned.fill(1, begin, Math.max(begin, Math.min(total, offsets[i + 1] as number)));
  }
  return owned;
}

/** Overwrites elements with one value; tells whether any of them was not poison. */
function replace(
  { dtype, data }: HostTensor,
  begin: number,
  count: number,
  value: number,
): boolean {
  const [code] = encodeElements(dtype, [value]);
  const [old] = poison(dtype, 1);
  let isOther = false;
  for (let i = begin; i < begin + count; i++) {
    isOther ||= !Object.is(data[i], old);
    (data as Uint16Array)[i] = code as number;
  }
  return isOther;
}
