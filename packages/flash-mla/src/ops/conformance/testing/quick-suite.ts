import { describe, expect, it } from 'vitest';
import { openDevice } from '../../../index.ts';
import { runConformance, selectCases } from '../../cases.ts';

/**
 * Tests that hold a simulated GPU to the float64 reference, operation by operation.
 * @param shareOf takes every n-th case of an operation, or none at all: 0.
 */
export function itPassesTheQuickSuite(
  spec: 'sim' | `sim:${number}`,
  shareOf: (operation: string) => number = () => 1,
): void {
  const cases = selectCases().filter(({ excluded }) => excluded?.sim === undefined);
  const operations = [...new Set(cases.map(({ name }) => name.split(' ')[0] as string))].filter(
    (operation) => shareOf(operation) > 0,
  );
  describe(`the quick suite on ${spec}`, () => {
    it.each(operations)(
      '%s',
      async (operation) => {
        const device = await openDevice(spec);
        const failures: string[] = [];
        let passed = 0;
        try {
          const shard = { index: 0, count: shareOf(operation) };
          for await (const result of runConformance(device, { filter: `${operation} `, shard })) {
            if (result.status === 'passed') passed++;
            else if (result.status === 'failed') failures.push(`${result.name}: ${result.message}`);
          }
        } finally {
          await device.dispose();
        }
        expect(failures).toEqual([]);
        expect(passed).toBeGreaterThan(0);
      },
      600_000,
    );
  });
}
