/**
 * What the kernels export. A command gets a pointer: to its head, which all commands have (work.ts), and behind
 * it its descriptor. The classes that read descriptors are made by generate.mjs from what the host writes, the
 * modules descriptors.ts of the library. All threads call a command with the same pointer.
 */

export { useNative, useTiles } from './attend/tile';
export { addScaled, swiGlu } from './activation/elements';
export { embedding } from './embedding/embedding';
export { sampleTokens } from './sampling/sample-tokens';
export { applyRope } from './rope/apply-rope';
export { expertMlp } from './moe/expert-mlp';
export { routeExperts } from './moe/route-experts';
export { gemm } from './gemm/gemm';
export { multipliesByTiles } from './gemm/native';
export { multipliesWeights } from './gemm/scaled';
export { rmsNorm } from './norm/rms-norm';
export { copyRows } from './swap-in/copy-rows';
export { swapIn } from './swap-in/swap-in';
export { indexRows } from './indexer/index-rows';
export { mqaLogits } from './indexer/mqa-logits';
export { indexTopK } from './indexer/index-top-k';
export { appendRows } from './ops/append';
export { copyBytes } from './ops/copy';
export { copyFar } from './ops/copy-far';
export { denseAttention } from './ops/dense-attention';
export { denseDecode } from './ops/dense-decode';
export { multiplyAdd, probeFma, probeFmasPerIteration, probeRead } from './ops/probe';
export { dequantizeRows, quantizeRows } from './ops/quantize';
export { blockTokens, scratchBytes, slotBytes } from './ops/sizes';
export { computeSchedule } from './ops/schedule';
export { sparseDecode } from './ops/sparse-decode';
export { sparsePrefill } from './ops/sparse-prefill';
export { startThread } from './work';
