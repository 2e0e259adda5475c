/** Rotary position embedding. */

export { type ApplyRopeOptions, applyRope, type RopePairs } from './apply-rope.ts';
