import { expect, it } from 'vitest';
import { packedRows } from './packed-rows.ts';

it('has the rows of FlashMLA', () => {
  expect(packedRows.v32).toMatchObject({
    headDimQk: 576,
    ropeOffset: 528,
    rowStride: 656,
    rowBytes: 656,
  });
  expect(packedRows.model1).toMatchObject({
    headDimQk: 512,
    ropeOffset: 448,
    rowStride: 576,
    rowBytes: 584,
  });
});
