/** Drawing tokens. */

export { type SampledTokens, type SampleTokensOptions, sampleTokens } from './sample-tokens.ts';
