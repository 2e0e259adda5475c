import { beforeEach, describe, expect, it } from 'vitest';
import { FakeDriver } from '../testing/fake-driver.ts';
import { Timeline } from './timeline.ts';

let driver: FakeDriver;
let timeline: Timeline;

beforeEach(() => {
  driver = new FakeDriver();
  driver.automatic = false;
  timeline = new Timeline(driver.openContext(0), 1);
});

/** Lets enqueued work happen after some turns of the event loop. */
function advanceSoon(milliseconds: number): void {
  setTimeout(() => driver.advance(), milliseconds);
}

describe('a timeline', () => {
  it('resolves waits in order once the device gets there', async () => {
    const order: number[] = [];
    const waits = [timeline.mark(), timeline.mark()].map((mark) =>
      timeline.wait(mark).then(() => order.push(mark)),
    );
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(order).toEqual([]);
    driver.advance();
    await Promise.all(waits);
    expect(order).toEqual([1, 2]);
  });

  it('leaves the event loop free while it waits', async () => {
    const mark = timeline.mark();
    let ticks = 0;
    // The device gets there only if the event loop has had its turns meanwhile.
    const ticker = setInterval(() => {
      if (++ticks === 6) driver.advance();
    }, 1);
    await timeline.wait(mark);
    clearInterval(ticker);
    expect(ticks).toBeGreaterThan(5);
  });

  it('stops polling when nothing waits', async () => {
    const mark = timeline.mark();
    advanceSoon(1);
    await timeline.wait(mark);
    const polls = driver.calls.length;
    await new Promise((resolve) => setTimeout(resolve, 10));
    expect(driver.calls.length).toBe(polls);
  });

  it('uses its events again', async () => {
    for (let i = 0; i < 10; i++) {
      const mark = timeline.mark();
      driver.advance();
      await timeline.wait(mark);
    }
    expect(driver.calls.filter((call) => call === 'createEvent')).toHaveLength(1);
  });

  it('uses its events again although nobody waits', () => {
    for (let i = 0; i < 1000; i++) {
      timeline.mark();
      driver.advance();
    }
    expect(driver.calls.filter((call) => call === 'createEvent')).toHaveLength(64);
  });

  it('blocks where it is asked to', () => {
    const mark = timeline.mark();
    expect(timeline.isReached(mark)).toBe(false);
    timeline.waitNow(mark);
    expect(timeline.isReached(mark)).toBe(true);
  });

  it('rejects all waits with what a query throws', async () => {
    const waits = [timeline.wait(timeline.mark()), timeline.wait(timeline.mark())];
    driver.fail('queryEvent', 700, 'CUDA_ERROR_ILLEGAL_ADDRESS');
    for (const wait of waits) await expect(wait).rejects.toMatchObject({ code: 700 });
    await expect(timeline.wait(3)).rejects.toMatchObject({ code: 700 });
  });
});
