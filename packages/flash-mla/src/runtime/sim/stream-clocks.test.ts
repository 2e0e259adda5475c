import fc from 'fast-check';
import { expect, it } from 'vitest';
import { StreamRaceError, StreamRaces, type TrackedWork } from './stream-races.ts';

const streams = [1, 2, 3];
const memory = { base: 4096, size: 4 };

/** A step of a host program over three streams and three events. */
const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('work' as const),
      stream: fc.constantFrom(...streams),
      byte: fc.integer({ min: 0, max: 2 }),
      write: fc.boolean(),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constantFrom('record' as const, 'wait' as const),
      stream: fc.constantFrom(...streams),
      event: fc.integer({ min: 10, max: 12 }),
    }),
  },
  fc.record({ kind: fc.constant('seen' as const), event: fc.integer({ min: 10, max: 12 }) }),
  fc.record({ kind: fc.constant('run' as const), count: fc.integer({ min: 1, max: 3 }) }),
);

interface Work {
  readonly byte: number;
  readonly write: boolean;
  readonly tracked: TrackedWork;
  /** All work before it, by the definition: the closure of stream order, events and the host. */
  readonly before: ReadonlySet<Work>;
}

it('finds a race exactly where no order by streams, events and host leads from one to the other', () => {
  const outcomes = { race: 0, none: 0 };
  fc.assert(
    fc.property(fc.array(step, { maxLength: 24 }), (program) => {
      const races = new StreamRaces();
      for (const stream of streams) races.addStream(stream, `stream ${stream}`);
      const ofStream = new Map<number, Set<Work>>(streams.map((stream) => [stream, new Set()]));
      const ofEvent = new Map<number, { readonly before: Set<Work>; readonly position: number }>();
      const ofHost = new Set<Work>();
      const all: Work[] = [];
      let ran = 0;
      /** Runs work up to a position; false once there was a race, which must be one. */
      const run = (position: number): boolean => {
        for (; ran < Math.min(position, all.length); ran++) {
          const work = all[ran] as Work;
          const expected = all
            .slice(0, ran)
            .some(
              (earlier) =>
                earlier.byte === work.byte &&
                (earlier.write || work.write) &&
                !work.before.has(earlier),
            );
          outcomes[expected ? 'race' : 'none']++;
          if (expected) {
            expect(() => races.finish(work.tracked)).toThrow(StreamRaceError);
            return false;
          }
          races.finish(work.tracked);
        }
        return true;
      };
      for (const each of program) {
        if (each.kind === 'work') {
          const known = ofStream.get(each.stream) as Set<Work>;
          for (const work of ofHost) known.add(work);
          const tracked = races.enqueue(each.stream, 'work') as TrackedWork;
          tracked.footprint[each.write ? 'write' : 'read'](memory, each.byte, 1);
          const work = { ...each, tracked, before: new Set(known) };
          known.add(work);
          all.push(work);
        } else if (each.kind === 'record') {
          races.record(each.event, each.stream);
          const before = new Set(ofStream.get(each.stream));
          ofEvent.set(each.event, { before, position: all.length });
        } else if (each.kind === 'wait') {
          races.wait(each.stream, each.event);
          const known = ofStream.get(each.stream) as Set<Work>;
          for (const work of ofEvent.get(each.event)?.before ?? []) known.add(work);
        } else if (each.kind === 'seen') {
          const event = ofEvent.get(each.event);
          if (event === undefined) continue;
          if (!run(event.position)) return;
          races.seen(each.event);
          for (const work of event.before) ofHost.add(work);
        } else if ('count' in each && !run(ran + each.count)) return;
      }
      run(all.length);
    }),
    { numRuns: 3000, seed: 11 },
  );
  expect(Math.min(outcomes.race, outcomes.none)).toBeGreaterThan(100);
});
