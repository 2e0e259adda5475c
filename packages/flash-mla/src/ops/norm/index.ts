/** RMSNorm. */

export {
  type NormDType,
  type NormOutDType,
  type RmsNormOptions,
  type RmsNormResult,
  rmsNorm,
  type ScaleFormat,
} from './rms-norm.ts';
