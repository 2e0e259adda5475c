/**
 * What the kernels export. The first four parameters of a command are its shared context, the index of
 * the calling thread, the number of threads and the workspace (first the scratch of each thread, then
 * the slots of partial results). All threads call it with the same arguments, in the order of
 * src/runtime/cpu/commands/.
 */

export { useNative } from './attend/tile';
export { addScaled, swiGlu } from './activation/elements';
export { embedding } from './embedding/embedding';
export { sampleTokens } from './sampling/sample-tokens';
export { applyRope } from './rope/apply-rope';
export { expertMlp } from './moe/expert-mlp';
export { routeExperts } from './moe/route-experts';
export { gemm } from './gemm/gemm';
export { multipliesByTiles, useTiles } from './gemm/native';
export { rmsNorm } from './norm/rms-norm';
export { swapIn } from './swap-in/swap-in';
export { indexRows } from './indexer/index-rows';
export { mqaLogits } from './indexer/mqa-logits';
export { indexTopK } from './indexer/index-top-k';
export { appendRows } from './ops/append';
export { copyBytes } from './ops/copy';
export { denseAttention } from './ops/dense-attention';
export { denseDecode } from './ops/dense-decode';
export { multiplyAdd, probeFma, probeFmasPerIteration, probeRead } from './ops/probe';
export { dequantizeRows, quantizeRows } from './ops/quantize';
export { blockTokens, scratchBytes, slotBytes } from './ops/sizes';
export { computeSchedule } from './ops/schedule';
export { sparseDecode } from './ops/sparse-decode';
export { sparsePrefill } from './ops/sparse-prefill';
