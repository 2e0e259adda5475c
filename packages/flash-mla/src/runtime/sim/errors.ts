import { SimMemoryError, SimulationError } from '@flash-mla/ptx';
import { CudaDriverError } from '../cuda/driver/driver-error.ts';
import { StreamRaceError } from './stream-races.ts';

/** What a GPU would have reported for a fault that the simulator found; the finding is the text. */
export function asDriverError(call: string, error: unknown): unknown {
  if (error instanceof SimulationError) {
    const [code, name] = codes[error.kind] ?? [719, 'CUDA_ERROR_LAUNCH_FAILED'];
    return new CudaDriverError(call, code, name, error.message);
  }
  if (error instanceof StreamRaceError) {
    return new CudaDriverError(call, 719, 'CUDA_ERROR_LAUNCH_FAILED', error.message);
  }
  if (error instanceof SimMemoryError) {
    const isFull = error.message.startsWith('out of memory');
    const [code, name] = isFull
      ? [2, 'CUDA_ERROR_OUT_OF_MEMORY']
      : [700, 'CUDA_ERROR_ILLEGAL_ADDRESS'];
    return new CudaDriverError(call, code as number, name as string, error.message);
  }
  return error;
}

const codes: Readonly<Record<string, readonly [number, string]>> = {
  'out of bounds': [700, 'CUDA_ERROR_ILLEGAL_ADDRESS'],
  misaligned: [716, 'CUDA_ERROR_MISALIGNED_ADDRESS'],
};
