import { defineKernel, global, type Kernel, type ParamDecls, type Value } from '@flash-mla/ptx';

/** What the code depends on. */
export interface CopyRowsConfig {
  /** Bytes of a row: a multiple of 16. */
  readonly rowBytes: number;
  /** Whether each request says how many of its rows are valid. */
  readonly counted: boolean;
}

const params = {
  source: global('b32'),
  target: global('b32'),
  sourceRows: global('u32'),
  targetRows: global('u32'),
  /** With `counted`. */
  counts: global('u32'),
  /** Rows of a request at most. */
  most: 'u32',
  numSourceRows: 'u32',
  numTargetRows: 'u32',
  /** CTAs of a request. */
  parts: 'u32',
} as const satisfies ParamDecls;

export type CopyRowsParams = typeof params;

export const copyRowsThreads = 256;
/** Copies of 16 bytes that a thread has under way. */
export const copyRowsAhead = 4;

/**
 * CTA (request, part): the rows of a request in pieces of 16 bytes, which the threads of all its parts take in
 * turn. Nothing waits but for what it copies itself, so that many pieces are on the bus at a time.
 */
export function buildCopyRows({ rowBytes, counted }: CopyRowsConfig): Kernel<CopyRowsParams> {
  const pieces = rowBytes / 16;
  return defineKernel({ name: 'sm80_copy_rows', params, block: [copyRowsThreads] }, (k, p) => {
    const request = k.blockIdx.x;
    const rows = k.var('u32', p.most);
    if (counted) {
      const count = p.counts.at(request).load();
      // Negative is none.
      rows.set(k.select(count.ge(0x8000_0000), 0, count.min(p.most), 'u32'));
    }
    const entries = k.widen(request).mul(k.widen(p.most));
    const rowOf = (cache: typeof p.source, row: Value<'u32'>, piece: Value<'u32'>) =>
      cache.at(k.mulWide(row, rowBytes / 4)).at(piece.mul(4));
    const step = p.parts.mul(copyRowsThreads);
    const first = k.mad(k.blockIdx.y, copyRowsThreads, k.threadIdx.x);
    const end = rows.mul(pieces);
    k.for({ from: first, to: end, step: step.mul(copyRowsAhead) }, (begin) => {
      const copies = Array.from({ length: copyRowsAhead }, (_, i) => {
        const at = i === 0 ? begin : begin.add(step.mul(i));
        const entry = at.div(pieces);
        const piece = at.sub(entry.mul(pieces));
        const [to, words] = [k.var('u32', p.numTargetRows), k.vars('b32', 4, 0)];
        k.if(at.lt(end), () => {
          const place = entries.add(k.widen(entry));
          const from = p.sourceRows.at(place).load();
          const row = p.targetRows.at(place).load();
          k.if(from.lt(p.numSourceRows).and(row.lt(p.numTargetRows)), () => {
            to.set(row);
            const loaded = rowOf(p.source, from, piece).loadVec(4, { l1: 'none' });
            for (const [w, word] of loaded.entries()) words[w]?.set(word);
          });
        });
        return { to, piece, words };
      });
      for (const { to, piece, words } of copies) {
        const [a, b, c, d] = words;
        if (!a || !b || !c || !d) continue;
        k.if(to.lt(p.numTargetRows), () => rowOf(p.target, to, piece).storeVec([a, b, c, d]));
      }
    });
  });
}
