import {
  defineKernel,
  field,
  global,
  type Kernel,
  type Ops,
  type ParamDecls,
  type ParamValues,
  sharedLayout,
  type Value,
} from '@flash-mla/ptx';

const threads = 1024;
const warps = threads / 32;
/** Beyond every index. */
const none = 0xffffffff;

const params = {
  /** i32 (count). */
  values: global('s32'),
  count: 'u32',
  /** Inclusive. */
  low: 's32',
  high: 's32',
  sequence: 's32',
  /** i32 [sequence, index, value, 0]; [0] is 0 as long as nothing was found. */
  report: global('s32'),
} as const satisfies ParamDecls;

export type CheckParams = typeof params;

const shared = sharedLayout({ found: field('u32', [warps]) });

/** Reports the first element that is out of range, or below the one before it. One CTA. */
export function buildCheck(): Kernel<CheckParams> {
  return defineKernel({ name: 'sm80_check', params, shared, block: [threads] }, (k, p) => {
    const found = k.var('u32', none).named('found');
    k.for({ from: k.threadIdx.x, to: p.count, step: threads, name: 'element' }, (index) => {
      const at = p.values.at(index);
      const value = at.load();
      const before = at.at(-1).loadIf(index.gt(0), p.low);
      const isBad = value.lt(p.low).or(value.gt(p.high)).or(value.lt(before));
      k.if(isBad, () => found.set(found.min(index)));
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

/** Writes the report unless an earlier check has written one. */
function report(k: Ops, p: ParamValues<CheckParams>, index: Value<'u32'>): void {
  k.if(p.report.load().eq(0), () => {
    p.report.at(1).store(index.as('s32'));
    p.report.at(2).store(p.values.at(index).load());
    p.report.store(p.sequence);
  });
}
