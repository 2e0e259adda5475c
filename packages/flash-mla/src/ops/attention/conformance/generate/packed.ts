import type { HostTensor } from '@flash-mla/core';
import { normalCodes, type Random } from '../../../conformance/suite/random.ts';
import { packedLayouts } from '../../../kv-cache/reference/index.ts';
import { keyDeviation } from './logits.ts';

/** Codes of about this size times scales of about 2^-10 give values of the usual deviation. */
const codeDeviation = 100;

/**
 * A packed FP8 cache, u8 (blocks, page, 1, rowBytes), whose used slots hold values of the usual size
 * with scales that differ from tile to tile. Everything else, the eighth scale of `model1` included, is
 * poison. Values are larger than usual by the power of two `exponent`.
 */
export function packedCache(
  layout: 'v32' | 'model1',
  used: Uint8Array,
  page: number,
  floatScales: boolean,
  random: Random,
  exponent = 0,
): HostTensor<'u8'> {
  const rows = packedLayouts[layout];
  const blocks = used.length / page;
  const data = new Uint8Array(used.length * rows.rowBytes).fill(0xff);
  const view = new DataView(data.buffer);
  const codes = normalCodes('e4m3', codeDeviation);
  const rope = new Uint16Array(64);
  const ropeCodes = normalCodes('bf16', keyDeviation * 2 ** exponent, 2 ** exponent);
  used.forEach((isUsed, slot) => {
    if (!isUsed) return;
    const block = Math.floor(slot / page) * page * rows.rowBytes;
    const offset = slot % page;
    random.fill(data, block + rows.nope(page, offset), rows.headDimNope, codes);
    for (let tile = 0; tile * rows.tile < rows.headDimNope; tile++) {
      const power = random.integer(-11, -9) + exponent;
      const at = block + rows.scales(page, offset);
      if (layout === 'model1') view.setUint8(at + tile, power + 127);
      else {
        const factor = floatScales ? 1 + random.uniform() : 1;
        view.setFloat32(at + 4 * tile, factor * 2 ** power, true);
      }
    }
    random.fill(rope, 0, 64, ropeCodes);
    const ropeAt = block + rows.rope(page, offset);
    for (let c = 0; c < 64; c++) view.setUint16(ropeAt + 2 * c, rope[c] as number, true);
  });
  return { dtype: 'u8', shape: [blocks, page, 1, rows.rowBytes], data };
}
