import { transpose16 } from '@flash-mla/machine-code';
import { lineBytes, type Products, tileBytes, tileRows } from './context.ts';

/**
 * Rows of x become panels of 16: tiles one behind the other, each with 16 pairs of neighbouring elements of 16
 * rows, which is what a product of tiles takes on its right. Rows past the last one are copies of it.
 */
export function emitPackRows({ k, job, base }: Products): void {
  k.section('panels of rows', () => {
    const table = k.stack(8 * tileRows, 8);
    const row = k.gpr('row', job.x);
    const panel = k.gpr('panel', job.panels);
    for (const register of [row, panel]) k.add(register, base);
    const stride = k.gpr('stride', job.xStride);
    const rowsLeft = k.gpr('rowsLeft', job.rows);
    const panels = k.gpr('panels', job.rows);
    k.add(panels, tileRows - 1);
    k.shr(panels, 4);
    k.loop(
      panels,
      () => {
        const next = k.gpr('next');
        for (let r = 0; r < tileRows; r++) {
          k.mov(table.plus(8 * r), row);
          k.lea(next, row.at(stride));
          k.dec(rowsLeft);
          k.cmovg(row, next);
        }
        const column = k.gpr('column', 0);
        const steps = k.gpr('steps', job.depth);
        k.shr(steps, 5);
        k.loop(
          steps,
          () => {
            const rows = k.zmms('rows', tileRows);
            for (const [r, x] of rows.entries()) {
              k.mov(next, table.plus(8 * r));
              k.vmovdqu32(x, next.at(column));
            }
            transpose16(k, rows);
            for (const [r, x] of rows.entries()) k.vmovdqu32(panel.at(r * lineBytes), x);
            k.add(column, lineBytes);
            k.add(panel, tileBytes);
          },
          { name: 'elements', atLeastOnce: true },
        );
      },
      { name: 'panels', atLeastOnce: true },
    );
  });
}
