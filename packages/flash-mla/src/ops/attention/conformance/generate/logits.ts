import type { Sharpness } from '../params.ts';

/** Deviation of keys and values, FlashMLA's: absolute tolerances are made for it. */
export const keyDeviation = 0.1;

const logitDeviations: Readonly<Record<Sharpness, number>> = { flat: 0.01, normal: 0.5, peaky: 12 };

/** The deviation of queries that gives logits the wanted spread. */
export function queryDeviation(
  sharpness: Sharpness = 'normal',
  headDimQk: number,
  scale: number,
): number {
  return logitDeviations[sharpness] / (Math.sqrt(headDimQk) * keyDeviation * scale);
}

/** FlashMLA's scale in sparse tests; other than the default 1/√dQk on purpose. */
export function sparseScale(headDimQk: number): number {
  return headDimQk ** -0.55;
}
