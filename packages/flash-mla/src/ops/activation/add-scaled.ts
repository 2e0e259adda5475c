import {
  checkDisjoint,
  checkNotEmpty,
  optionNames,
  readOptions,
} from '../../runtime/operation/arguments.ts';
import {
  checkApart,
  checkMatrix,
  checkNumber,
  checkShape,
} from '../../runtime/operation/tensors.ts';
import type { Tensor } from '../../runtime/tensor/tensor.ts';
import { addScaledOperation } from './operation.ts';
import { type ElementDType, elementDTypes } from './swi-glu.ts';

/** Arguments of {@link addScaled}. */
export interface AddScaledOptions<D extends ElementDType = ElementDType> {
  /** (rows, columns), overwritten; rows may be apart. */
  readonly target: Tensor<D>;
  /** (rows, columns), rows may be apart. */
  readonly x: Tensor<ElementDType>;
  /** Default 1. */
  readonly scale?: number | null | undefined;
}

const known = optionNames<keyof AddScaledOptions>('target', 'x', 'scale');
const mostScale = 2 ** 100;

/**
 * `target += scale · x`, computed in float32 and rounded once. Returns `target`. Only enqueues, and may
 * be recorded by `device.capture`.
 *
 * @throws {InvalidArgumentError} naming the argument; {@link DisposedError};
 *   {@link UnsupportedOperationError} where the device has no kernel for it.
 */
export function addScaled<D extends ElementDType>(options: AddScaledOptions<D>): Tensor<D> {
  const given = readOptions(options, known);
  const { target, x } = given;
  checkMatrix('target', target, 2, elementDTypes);
  checkNotEmpty('target', target, 1);
  checkDisjoint('target', target);
  checkMatrix('x', x, 2, elementDTypes, target.device);
  checkShape('x', x, target.shape, 'of target');
  checkApart('target', target, { x });
  const scale = checkNumber('scale', given.scale ?? 1, -mostScale, mostScale);
  if ((target.shape[0] ?? 0) > 0) {
    target.device.backend.run(addScaledOperation, { x, scale, target });
  }
  return target as Tensor<D>;
}
