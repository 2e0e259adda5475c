import type { Gpr64, Zmm } from '@flash-mla/machine-code';
import { loadRows, pairBytes, type Rows } from './context.ts';

/** Pairs of two vectors in the order of their columns: 0 to 15, and 16 to 31. */
const lowColumns = [0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23];
const highColumns = [8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31];

/** How far ahead tokens are asked for: what memory delivers while it answers. */
const aheadBytes = 4608;

/**
 * Values of two neighbouring tokens, side by side for each column: what a product over pairs of tokens takes.
 * The head dimension of values is a multiple of 32. Tokens are taken up to a multiple of `tokensTo`.
 */
export function emitPackValues(a: Rows, tokensTo: 2 | 32 = 2): void {
  const { k, job, base } = a;
  k.section('values in pairs', () => {
    const [low, high, first, second, pairs, order] = k.zmms('pairs', 6) as [
      Zmm,
      Zmm,
      Zmm,
      Zmm,
      Zmm,
      Zmm,
    ];
    k.vmovdqu32(low, k.constant.u32(lowColumns));
    k.vmovdqu32(high, k.constant.u32(highColumns));
    const target = k.gpr('target', job.valuePairs);
    k.add(target, base);
    const stride = k.gpr('stride', job.valueStride);
    const list = k.gpr('list', job.rowList);
    k.add(list, base);
    const count = k.gpr('pairs', job.tokens);
    k.add(count, tokensTo - 1);
    k.shr(count, Math.log2(tokensTo));
    if (tokensTo > 2) k.shl(count, Math.log2(tokensTo) - 1);
    // Tokens outside: they come from memory here for the first time, and so in the order in which they lie.
    k.loop(
      count,
      () => {
        const rows: [Gpr64, Gpr64] = [k.gpr('row0'), k.gpr('row1')];
        loadRows(a, rows, list);
        const to = k.gpr('to', target);
        const columns = k.gpr('columns', job.colTiles);
        k.shr(columns, 1);
        k.loop(
          columns,
          () => {
            // The tokens behind these, in most places: where there is no memory nothing happens.
            for (const row of rows) k.prefetcht0(row.at(aheadBytes));
            k.vmovdqu32(first, rows[0].at());
            k.vmovdqu32(second, rows[1].at());
            k.vpunpcklwd(pairs, first, second);
            k.vpunpckhwd(second, first, second);
            k.vmovdqa32(order, low);
            k.vpermi2d(order, pairs, second);
            k.vpermt2d(pairs, high, second);
            k.vmovdqu32(to.at(), order);
            k.vmovdqu32(to.at(stride), pairs);
            k.lea(to, to.at(stride.times(2)));
            for (const row of rows) k.add(row, 64);
          },
          { name: 'columns', atLeastOnce: true },
        );
        k.add(target, pairBytes);
        k.add(list, 8);
      },
      { name: 'token_pairs', atLeastOnce: true },
    );
  });
}

/**
 * Ends the kernel with `status` 1 if a value of these tokens is an infinity or NaN and rows see different
 * numbers of them: a probability of 0 does not hide it.
 */
export function emitCheckValues(a: Rows): void {
  const { k, job, base } = a;
  k.cmp(job.masked, 0);
  k.if(k.flags('ne'), () => {
    const [exponents, x] = k.zmms('check', 2) as [Zmm, Zmm];
    k.vpbroadcastd(exponents, k.constant.u32(0x7f807f80));
    const found = k.mask('found');
    const here = k.mask('here');
    k.kxord(found, found, found);
    const list = k.gpr('list', job.rowList);
    k.add(list, base);
    const tokens = k.gpr('tokens', job.tokens);
    k.loop(
      tokens,
      () => {
        const row = k.gpr('row');
        loadRows(a, [row], list);
        const columns = k.gpr('columns', job.colTiles);
        k.shr(columns, 1);
        k.loop(
          columns,
          () => {
            k.vpandd(x, exponents, row.at());
            k.vpcmpeqw(here, x, exponents);
            k.kord(found, found, here);
            k.add(row, 64);
          },
          { name: 'check_columns', atLeastOnce: true },
        );
        k.add(list, 4);
      },
      { name: 'check_tokens', atLeastOnce: true },
    );
    k.kortestd(found, found);
    k.if(k.flags('ne'), () => {
      k.mov(job.status, 1);
      k.return();
    });
  });
}
