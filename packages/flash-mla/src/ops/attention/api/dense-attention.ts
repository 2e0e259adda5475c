import { InvalidArgumentError } from '@flash-mla/core';
import { checkHeads, show } from '../../../runtime/operation/arguments.ts';
import type { TensorHost } from '../../../runtime/tensor/tensor.ts';
import { checkHeadDim } from './head-dims.ts';

/** Checks shared by the two dense attention functions. */

type NamedDim = readonly [name: string, value: number];

export function checkAttentionHeads(
  hQ: number,
  hKv: number,
  kvName: string,
  dQk: NamedDim,
  dV: NamedDim,
): void {
  checkHeads(hQ, hKv, kvName);
  checkHeadDim(dQk[0], dQk[1], 8, 256);
  checkHeadDim(dV[0], dV[1], 8, 256);
}

export function checkNoDropout(dropoutP: unknown): void {
  if (dropoutP === undefined || dropoutP === null || dropoutP === 0) return;
  throw new InvalidArgumentError(
    'dropoutP',
    '0',
    show(dropoutP),
    'Dropout is for training; these kernels are for inference.',
  );
}

export function checkImplementation(implementation: unknown, device: TensorHost): void {
  if (implementation === undefined || implementation === null || implementation === 'auto') return;
  const family = device.backend.info.backend;
  if (implementation === family) return;
  throw new InvalidArgumentError(
    'implementation',
    `'auto' or '${family}' on device '${device.id}'`,
    show(implementation),
  );
}
