import type { Location } from './ir/location.ts';

/** The base of every error this package throws on purpose. */
export class PtxError extends Error {
  override readonly name: string = 'PtxError';
}

/** A kernel was written wrongly: found while its function ran, before anything was emitted. */
export class KernelBuildError extends PtxError {
  override readonly name: string = 'KernelBuildError';
  readonly kernel: string;
  readonly location: Location;
  constructor(kernel: string, location: Location, problem: string) {
    super(`kernel ${kernel}, ${location.file}:${location.line}: ${problem}`);
    this.kernel = kernel;
    this.location = location;
  }
}

/** The chosen architecture lacks an instruction that the kernel uses. */
export class UnsupportedInstructionError extends KernelBuildError {
  override readonly name = 'UnsupportedInstructionError';
}

/** A shared-memory layout, a parameter declaration or a launch value is impossible. */
export class DeclarationError extends PtxError {
  override readonly name = 'DeclarationError';
}
