/**
 * The share of the output that a sink leaves, exp(lse) / (exp(lse) + exp(sink)), from the base-2 lse and
 * the sink's bits: infinities are told by those, because WGSL may assume that there are none.
 */
export const sinkShare = `
fn sinkShare(lse2: f32, bits: u32) -> f32 {
  let exponent = clamp(bitcast<f32>(bits) * 1.4426950408889634 - lse2, -126.0, 126.0);
  let share = 1.0 / (1.0 + exp2(exponent));
  return select(select(share, 0.0, bits == 0x7f800000u), 1.0, bits == 0xff800000u);
}
`;
