import type { StepMasks, TokenMask } from '../runner/token-mask.ts';
import type { Frame } from './step-builder.ts';

/** The masks of a step that is handed in before the tokens are known on which they depend. */
export interface PendingMasks {
  readonly promise: Promise<StepMasks>;
  /**
   * Asks the constraints; call it when every step before has been taken in. Who fails is told to
   * `onError`, and is not restricted then: its token is dropped in any case.
   */
  fill(onError: (frame: Frame, error: unknown) => void): void;
}

/** Undefined when no frame samples for a request with a constraint. */
export function pendingMasks(frames: readonly Frame[]): PendingMasks | undefined {
  const restricted = frames.filter(({ samples, request }) => samples && request.constraint);
  if (restricted.length === 0) return undefined;
  let resolve: (masks: StepMasks) => void = () => {};
  const promise = new Promise<StepMasks>((done) => {
    resolve = done;
  });
  return {
    promise,
    fill(onError) {
      const masks = new Map<number, TokenMask>();
      const ask = async (frame: Frame) => {
        const { constraint, epoch, running } = frame.request;
        if (running === undefined || epoch !== frame.epoch) return;
        try {
          const mask = await constraint?.mask();
          if (mask !== undefined) masks.set(frame.slot, mask);
        } catch (error) {
          onError(frame, error);
        }
      };
      void Promise.all(restricted.map(ask)).then(() => resolve(masks));
    },
  };
}
