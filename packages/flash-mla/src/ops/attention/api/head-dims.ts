import { InvalidArgumentError } from '@flash-mla/core';

/**
 * Dense decode head dimensions: those of MLA models (DeepSeek, Kimi K2, GLM-5 576/512, MiniCPM3
 * 288/256), and any others that fill whole vectors.
 */
export function checkDenseHeadDims(headDimQk: number, headDimV: number): void {
  checkHeadDim('q.shape[3]', headDimQk, 16, 576);
  checkHeadDim('headDimV', headDimV, 16, 512);
}

/** Sparse kernels know two row widths; V is always the first 512 columns. */
export function checkSparseHeadDims(name: string, headDimQk: number, dV: string, headDimV: number) {
  if (headDimQk !== 576 && headDimQk !== 512) {
    throw new InvalidArgumentError(name, '576 or 512 columns', `${headDimQk}`);
  }
  if (headDimV !== 512) throw new InvalidArgumentError(dV, '512', `${headDimV}`);
}

/** A multiple of `step` up to `most`. */
export function checkHeadDim(name: string, value: number, step: number, most: number): void {
  if (value > 0 && value <= most && value % step === 0) return;
  throw new InvalidArgumentError(name, `a multiple of ${step} up to ${most}`, `${value}`);
}
