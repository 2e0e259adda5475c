import { EngineError } from '../errors.ts';

/** Memory of HiSparse is used against the rules. It is a defect of the caller or of the engine. */
export class HiSparseError extends EngineError {
  override readonly name = 'HiSparseError';
}
