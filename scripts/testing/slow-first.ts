import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Files that take longest, in that order. One that began last would leave the other processors idle. */
const slow = [
  'ops/conformance/webgpu/conformance.test.ts',
  'ops/conformance/sim/conformance-hopper.test.ts',
  'ops/conformance/sim/conformance-ampere.test.ts',
  'apps/playground/test/tasks.test.ts',
  'apps/playground/test/page.test.ts',
  'ops/conformance/sim/conformance-ada.test.ts',
];

function placeOf({ moduleId, project }: TestSpecification): number {
  const place = slow.findIndex((path) => moduleId.endsWith(path));
  if (place >= 0) return place;
  // A process is kept for the files that share it only as long as the next file is one of them.
  return project.config.isolate ? slow.length : slow.length + 1;
}

/** Files that take long begin first, files that share a process come together at the end. */
export class SlowFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return (await super.sort(files)).sort((a, b) => placeOf(a) - placeOf(b));
  }
}
