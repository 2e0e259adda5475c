import {
  array,
  defineKernel,
  field,
  global,
  type Kernel,
  type Ops,
  type ParamDecls,
  type ParamValues,
  type Pointer,
  sharedLayout,
  type Value,
} from '@flash-mla/ptx';

/** What the code of the check kernel depends on. */
export interface CheckConfig {
  readonly ascending: boolean;
  readonly hasCounts: boolean;
}

const threads = 1024;
const warps = threads / 32;
/** Beyond every index. */
const none = 0xffffffff;

const params = {
  /** i32 (outer, rows, columns); elements between the first two, columns are contiguous. */
  values: global('s32'),
  strides: array('u64', 2),
  outer: 'u32',
  rows: 'u32',
  columns: 'u32',
  /** Inclusive. */
  low: 's32',
  high: 's32',
  /** Counts as well; `low` if nothing else does. */
  alsoAllowed: 's32',
  /** i32 (outer): ⌈count / unit⌉ columns are looked at. */
  counts: global('s32'),
  unit: 's32',
  sequence: 's32',
  /** i32 [sequence, index, value, 0]; [0] is 0 as long as nothing was found. */
  report: global('s32'),
} as const satisfies ParamDecls;

export type CheckParams = typeof params;
type Params = ParamValues<CheckParams>;

const shared = sharedLayout({ found: field('u32', [warps]) });

/**
 * Reports the first element that is out of range, or below the one before it. One CTA: a warp takes
 * every so-many-th row, a lane every 32nd column.
 */
export function buildCheck(config: CheckConfig): Kernel<CheckParams> {
  return defineKernel({ name: 'sm80_check', params, shared, block: [threads] }, (k, p) => {
    const found = k.var('u32', none).named('found');
    const rows = p.outer.mul(p.rows);
    k.for({ from: k.warpId, to: rows, step: warps, name: 'row', uniform: true }, (row) => {
      const first = row.mul(p.columns);
      const values = rowOf(k, p, row);
      const end = config.hasCounts ? countedColumns(k, p, row.div(p.rows)) : p.columns;
      k.for({ from: k.laneId, to: end, step: 32, name: 'column' }, (column) => {
        const at = values.at(column);
        const value = at.load();
        const outside = value.lt(p.low).or(value.gt(p.high)).and(value.ne(p.alsoAllowed));
        k.if(outside, () => found.set(found.min(first.add(column))));
        if (!config.ascending) return;
        k.if(column.gt(0), () => {
          const falls = value.lt(at.at(-1).load());
          k.if(falls, () => found.set(found.min(first.add(column))));
        });
      });
    });

    const inWarp = k.reduce('min', found);
    k.if(k.laneId.eq(0), () => k.shared.found.at(k.warpId).store(inWarp));
    k.barrier();
    k.if(k.warpId.eq(0), () => {
      const smallest = k.reduce('min', k.shared.found.at(k.laneId).load());
      k.if(k.laneId.eq(0).and(smallest.ne(none)), () => report(k, p, smallest));
    });
  });
}

/** Row `row` of (outer · rows). */
function rowOf(k: Ops, p: Params, row: Value<'u32'>): Pointer<'global', 's32'> {
  const outer = row.div(p.rows);
  const inner = row.sub(outer.mul(p.rows));
  return p.values.at(k.widen(outer).mul(p.strides[0])).at(k.widen(inner).mul(p.strides[1]));
}

function countedColumns(k: Ops, p: Params, outer: Value<'u32'>): Value<'u32'> {
  const count = p.counts.at(outer).load().max(0);
  // Not count + unit − 1, which could overflow.
  const whole = k.select<'s32'>(count.eq(0), 0, count.sub(1).div(p.unit).add(1));
  return whole.as('u32').min(p.columns);
}

/** Writes the report unless an earlier check has written one. */
function report(k: Ops, p: Params, index: Value<'u32'>): void {
  k.if(p.report.load().eq(0), () => {
    const row = index.div(p.columns);
    const value = rowOf(k, p, row)
      .at(index.sub(row.mul(p.columns)))
      .load();
    p.report.at(1).store(index.as('s32'));
    p.report.at(2).store(value);
    p.report.store(p.sequence);
  });
}
