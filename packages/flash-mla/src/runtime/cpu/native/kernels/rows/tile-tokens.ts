import type { Memory, Zmm } from '@flash-mla/machine-code';
import { loadRows, type Rows } from './context.ts';

/** Tokens of a tile. */
export const tileTokens = 16;
/**
 * Bytes of an entry of the table that {@link emitTileTokens} fills: where the tokens begin, their stride, and at
 * {@link runAt} what memory to ask for ahead of time.
 */
export const entryBytes = 32;
export const runAt = 16;

/**
 * Finds for each 16 tokens where they lie and how far apart: a tile is loaded from rows of one stride. Tokens that
 * have none, as at the edge of a page, are copied to the staging room. Tokens without gaps are worth to be asked for
 * ahead of time; for others that names the staging room, where nothing is lost. So many entries more, `ahead`, do it
 * for the tokens behind the last ones.
 */
export function emitTileTokens(a: Rows, table: Memory<'gpr64'>, ahead: number): void {
  const { k, job, base } = a;
  k.section('rows of tiles', () => {
    const list = k.gpr('list', job.rowList);
    k.add(list, base);
    const entry = k.gpr('entry');
    k.lea(entry, table);
    const staging = k.gpr('staging', job.staging);
    k.add(staging, base);
    const room = k.gpr('room', staging);
    const count = k.gpr('tiles', job.tokens);
    k.add(count, 2 * tileTokens - 1);
    k.shr(count, 5);
    k.shl(count, 1);
    const [here, next, stride] = k.zmms('places', 3) as [Zmm, Zmm, Zmm];
    const [fifteen, differing] = [k.mask('fifteen'), k.mask('differing')];
    const bits = k.gpr('bits', 0x7fff);
    k.kmovw(fifteen, bits.low32);
    k.free(bits);
    k.loop(
      count,
      () => {
        k.vmovdqu32(here.zeroMasked(fifteen), list.at());
        k.vmovdqu32(next.zeroMasked(fifteen), list.at(4));
        k.vpsubd(next, next, here);
        k.vpbroadcastd(stride, next.xmm);
        k.vpcmpd(differing, next, stride, notEqual);
        k.kandw(differing, differing, fifteen);
        k.kortestw(differing, differing);
        const [place, apart, run] = [k.gpr('place'), k.gpr('apart'), k.gpr('run')];
        k.if(
          k.flags('eq'),
          () => {
            loadRows(a, [place], list);
            k.vmovd(apart.low32, next.xmm);
            k.movsxd(apart, apart.low32);
            k.mov(run.low32, job.headDimQk);
            k.shl(run, 1);
            k.sub(run, apart);
            k.mov(run, place);
            k.cmovne(run, room);
          },
          () => {
            k.set(place, staging);
            k.set(run, staging);
            k.set(apart, job.headDimQk);
            k.shl(apart, 1);
            emitCopies(a, list, staging);
          },
        );
        k.mov(entry.at(), place);
        k.mov(entry.at(8), apart);
        k.mov(entry.at(runAt), run);
        k.add(entry, entryBytes);
        k.add(list, 4 * tileTokens);
      },
      { name: 'tiles', atLeastOnce: true },
    );
    k.scope(() => {
      const [next, step] = [k.gpr('next', job.next), k.gpr('step', job.headDimQk)];
      k.shl(step, Math.log2(2 * tileTokens));
      k.add(next, base);
      k.cmp(job.next, 0);
      k.cmove(next, room);
      for (let i = 0; i < ahead; i++) {
        k.mov(entry.at(i * entryBytes + runAt), next);
        k.add(next, step);
      }
    });
  });
}

/** Copies 16 tokens one behind the other, and moves the pointer behind them. */
function emitCopies(
  a: Rows,
  list: Parameters<typeof loadRows>[2],
  to: Parameters<typeof loadRows>[2],
): void {
  const { k, job } = a;
  const x = k.zmm('copy');
  for (let token = 0; token < tileTokens; token++) {
    k.scope(() => {
      const row = k.gpr('row');
      k.mov(row.low32, list.at(4 * token));
      k.add(row, a.base);
      const count = k.gpr('lines', job.headDimQk);
      k.shr(count, 5);
      k.loop(
        count,
        () => {
          k.vmovdqu32(x, row.at());
          k.vmovdqu32(to.at(), x);
          k.add(row, 64);
          k.add(to, 64);
        },
        { name: 'copy', atLeastOnce: true },
      );
    });
  }
}

/** Predicate of a comparison of integers. */
const notEqual = 4;
