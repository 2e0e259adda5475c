import type { Ops, Value } from '@flash-mla/ptx';

/**
 * The share of a row's output that an attention sink leaves: exp(lse) / (exp(lse) + exp(sink)).
 *
 * @param lse2 base-2 log-sum-exp of the row, finite.
 * @param sink natural; −inf leaves all, +inf nothing.
 */
export function sinkFactor(k: Ops, lse2: Value<'f32'>, sink: Value<'f32'>): Value<'f32'> {
  return k.rcp(k.ex2(sink.mul(Math.LOG2E).sub(lse2)).add(1));
}
