/** Matrix products with weights. */

export { type BatchedLinearOptions, batchedLinear } from './batched-linear.ts';
export { weightScaleBlock } from './limits.ts';
export {
  type LinearDType,
  type LinearOptions,
  type LinearWeightDType,
  linear,
} from './linear.ts';
