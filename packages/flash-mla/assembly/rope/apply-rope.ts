/** Rotary position embedding; see src/ops/rope. */

import { loadRow, rowAt, storeRow } from '../elements';
import { ApplyRope } from '../generated/rope';

/** Rows beyond the tables are only copied. */
export function applyRope(command: ApplyRope): void {
  const dim = command.dim;
  const x = command.x;
  const out = command.out;
  const row = command.scratch(command.scratchBytes);
  const half = <usize>dim >> 1;
  // Bytes from a pair to the next, and from the first of a pair to the second.
  const step: usize = command.interleaved ? 8 : 4;
  const apart: usize = command.interleaved ? 4 : half << 2;
  for (let r = command.takeItem(); r < command.numRows; r = command.takeItem()) {
    const positions = command.positions;
    const position = positions == 0 ? <u32>r : load<u32>(positions + (<usize>r << 2));
    const skip = (<usize>position * half) << 2;
    const cos = command.cos + skip;
    const sin = command.sin + skip;
    for (let head: usize = 0; head < <usize>command.numHeads; head++) {
      loadRow(x.type, row, rowAt(x, r) + head * command.xHeadStride, dim);
      if (position < command.numPositions) {
        for (let i: usize = 0; i < half; i++) {
          const c = load<f32>(cos + (i << 2));
          const s = load<f32>(sin + (i << 2));
          const at = row + i * step;
          const a = load<f32>(at);
          const b = load<f32>(at + apart);
          store<f32>(at, a * c - b * s);
          store<f32>(at + apart, a * s + b * c);
        }
      }
      storeRow(out.type, rowAt(out, r) + head * command.outHeadStride, row, dim);
    }
  }
}
