import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Device } from '../../../index.ts';
import { openAdjusted } from '../../../runtime/webgpu/testing/open.ts';
import { useSwiftShader } from '../../../runtime/webgpu/testing/swiftshader.ts';
import { selectCases } from '../../cases.ts';
import { resultsOf } from '../testing/results.ts';

const absent = useSwiftShader();

/** What these operations work on in parts where it does not fit a binding. */
const operations = [
  'rms-norm',
  'linear',
  'batched-linear',
  'rope',
  'swi-glu',
  'add-scaled',
  'embedding',
  'route-experts',
  'expert-mlp',
];
const names = selectCases()
  .map(({ name }) => name)
  .filter((name) => operations.some((operation) => name.startsWith(`${operation} `)))
  // One matrix whose rows are summed over, and one of an expert, have to fit a binding.
  .filter((name) => !/columns=512 .*transposed|hidden=(256|640)/.test(name));

// 64 KiB in buffers of 128 KiB: what weights of 5 GB are to a large GPU.
describe.skipIf(absent)(`bindings that are small${absent ? `, skipped: ${absent}` : ''}`, () => {
  let device: Device;
  beforeAll(async () => {
    ({ device } = await openAdjusted((capabilities) => ({
      ...capabilities,
      bindingBytes: 2 ** 16,
      bufferBytes: 2 ** 17,
    })));
  });
  afterAll(() => device.dispose());

  it.each(names)('%s', async (name) => {
    const results = await resultsOf(device, { filter: name });
    expect(results.find((each) => each.name === name)).toMatchObject({
      ...{ status: 'passed', message: '' },
    });
  });
});
