import { EngineOptionError } from '../errors.ts';

/** What a swap-in depends on besides its arguments. */
export interface SwapInSizes {
  /** K: tokens that a query attends to. */
  readonly topK: number;
  /** H: slots of a request's hot buffer that are replaced in LRU order. The newest token has one more. */
  readonly bufferSize: number;
  /** P: tokens in a page, on the device and on the host. */
  readonly pageSize: number;
}

/** The LRU order is kept in 16 bits. */
export const maxBufferSize = 32_767;

/** @throws EngineOptionError unless K ≤ H ≤ 32,767 and H is a multiple of P. */
export function checkSwapInSizes({ topK, bufferSize, pageSize }: SwapInSizes): void {
  const atLeastOne = { pageSize, topK, bufferSize };
  for (const [name, value] of Object.entries(atLeastOne)) {
    if (!Number.isInteger(value) || value < 1) throw impossible(name, 'a positive integer', value);
  }
  if (bufferSize < topK || bufferSize > maxBufferSize)
    throw impossible('bufferSize', `${topK} (topK) to ${maxBufferSize} slots`, bufferSize);
  if (bufferSize % pageSize !== 0)
    throw impossible('bufferSize', `a multiple of the page size ${pageSize}`, bufferSize);
}

function impossible(name: string, expected: string, actual: number): EngineOptionError {
  const subject = `${name} of the swap-in`;
  const remedy = 'Change top_k or device_buffer_size of HiSparse.';
  return new EngineOptionError({ subject, expected, actual: String(actual), remedy });
}
