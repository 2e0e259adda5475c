import type { ConstantOps } from '../assembler/constant_ops.ts';
import { KernelError } from '../errors.ts';
import type { Instructions } from '../instructions/table.ts';

/** The shape of a tile register. */
export interface TileShape {
  /** 1 to 16. */
  readonly rows: number;
  /** Bytes of a row: a multiple of 4 from 4 to 64. */
  readonly rowBytes: number;
}

const full: TileShape = { rows: 16, rowBytes: 64 };

export function tileOps(a: Instructions, constant: ConstantOps) {
  return {
    /**
     * Gives the tile registers their shapes: one for each from tmm0 up, 16 rows of 64 bytes unless given.
     * Tiles are zero afterwards; the end of the kernel releases them.
     */
    configureTiles(shapes: readonly TileShape[] = Array.from({ length: 8 }, () => full)): void {
      const config = new Uint8Array(64);
      const view = new DataView(config.buffer);
      config[0] = 1;
      for (const [i, { rows, rowBytes }] of shapes.entries()) {
        const possible =
          Number.isInteger(rows) &&
          rows >= 1 &&
          rows <= 16 &&
          i < 8 &&
          Number.isInteger(rowBytes / 4) &&
          rowBytes >= 4 &&
          rowBytes <= 64;
        if (!possible) {
          throw new KernelError({
            subject: `shape of tmm${i}`,
            expected: 'at most 8 tiles of 1 to 16 rows of 4, 8, … 64 bytes',
            actual: `${rows} rows of ${rowBytes} bytes`,
            remedy: 'Cut the matrices into such tiles.',
          });
        }
        view.setUint16(16 + 2 * i, rowBytes, true);
        config[48 + i] = rows;
      }
      a.ldtilecfg(constant.bytes(config, 64));
    },
  };
}
