import type { Gpr64, Memory, Zmm } from '@flash-mla/machine-code';
import { loadRows, pairBytes, type Rows } from './context.ts';

/** Tokens of a register tile, each with a register that points to it. */
const tileTokens = 8;
/** Pairs of elements in a round of the inner loop; the head dimension is a multiple of twice that. */
const unrolled = 4;

/**
 * S = K · Qᵀ by products of bf16 pairs: a vector holds one pair of elements of 16 query rows, pairs of keys are
 * broadcast from where they lie. Logits are scaled to base 2 when they are stored.
 */
export function emitRowScores(a: Rows): void {
  const { k, job, base } = a;
  k.section('scores', () => {
    const [left, scores, queries] = [k.stack(8, 8), k.stack(8, 8), k.stack(8, 8)];
    k.scope(() => {
      const at = k.gpr('at', job.scores);
      k.add(at, base);
      k.mov(scores, at);
      k.set(at, job.queries);
      k.add(at, base);
      k.mov(queries, at);
      k.set(at, job.rows);
      k.add(at, 15);
      k.shr(at, 4);
      k.mov(left, at);
    });
    const again = k.label('panels');
    const last = k.label('last_panel');
    const done = k.label('panels_done');
    k.place(again);
    k.cmp(left.qword, 2);
    k.jl(last);
    emitPanels(a, 2, scores, queries);
    k.sub(left.qword, 2);
    k.jmp(again);
    k.place(last);
    k.cmp(left.qword, 1);
    k.jl(done);
    emitPanels(a, 1, scores, queries);
    k.place(done);
  });
}

/** All tokens against some panels; moves both pointers on to the next ones. */
function emitPanels(a: Rows, panels: 1 | 2, scores: Memory<'gpr64'>, queries: Memory<'gpr64'>) {
  const { k, job, base } = a;
  k.scope(() => {
    const [tokens, list, end] = [k.stack(8, 8), k.stack(8, 8), k.stack(8, 8)];
    const score = k.gpr('score', scores);
    k.scope(() => {
      const at = k.gpr('at', job.tokens);
      k.mov(tokens, at);
      k.set(at, job.rowList);
      k.add(at, base);
      k.mov(list, at);
      k.set(at, job.headDimQk);
      k.shl(at, 1);
      k.mov(end, at);
    });
    const again = k.label('tokens');
    k.align(32);
    k.place(again);
    emitTile(a, panels, { score, queries, list, end });
    k.add(score, tileTokens * pairBytes);
    k.add(list.qword, 4 * tileTokens);
    k.sub(tokens.qword, tileTokens);
    k.jg(again);
    const step = k.gpr('step', job.scoreStride);
    for (let i = 0; i < panels; i++) k.add(scores.qword, step);
    k.set(step, job.headDimQk);
    k.shl(step, 5);
    for (let i = 0; i < panels; i++) k.add(queries.qword, step);
  });
}

interface TilePlace {
  readonly score: Gpr64;
  readonly queries: Memory<'gpr64'>;
  readonly list: Memory<'gpr64'>;
  /** Bytes of a row of keys. */
  readonly end: Memory<'gpr64'>;
}

/** 8 tokens against one or two panels, over the whole head dimension. */
function emitTile(a: Rows, panels: 1 | 2, { score, queries, list, end }: TilePlace): void {
  const { k, job } = a;
  k.scope(() => {
    const sums = k.zmmBlock('sums', tileTokens, panels);
    for (const sum of sums.flat()) k.vpxord(sum, sum, sum);
    const columns = k.zmms('queries', panels);
    const x = k.zmm('x');
    const at = k.gpr('at', list);
    const rows = Array.from({ length: tileTokens }, (_, t) => k.gpr(`row${t}`));
    loadRows(a, rows, at);
    const query = k.gpr('query', queries);
    // Of two panels, the second one lies so far behind the first.
    const panelBytes = k.gpr('panelBytes', job.headDimQk);
    k.shl(panelBytes, 5);
    k.set(at, 0);
    const again = k.label('pairs');
    k.align(32);
    k.place(again);
    for (let pair = 0; pair < unrolled; pair++) {
      for (const [p, column] of columns.entries()) {
        const place = pair * pairBytes;
        k.vmovups(column, p === 0 ? query.at(place) : query.at(panelBytes, place));
      }
      for (const [t, row] of rows.entries()) {
        const key = row.at(at, 4 * pair);
        const sum = sums[t] as Zmm[];
        if (panels === 1) k.vdpbf16ps(sum[0] as Zmm, columns[0] as Zmm, key.broadcast());
        else {
          k.vpbroadcastd(x, key);
          for (const [p, to] of sum.entries()) k.vdpbf16ps(to, columns[p] as Zmm, x);
        }
      }
    }
    k.add(query, unrolled * pairBytes);
    k.add(at, unrolled * 4);
    k.cmp(at, end);
    k.jl(again);

    k.vbroadcastss(x, job.scale);
    k.set(at, job.scoreStride);
    for (const [t, sum] of sums.entries()) {
      for (const [p, to] of sum.entries()) {
        k.vmulps(to, to, x);
        k.vmovups(p === 0 ? score.at(t * pairBytes) : score.at(at, t * pairBytes), to);
      }
    }
  });
}
