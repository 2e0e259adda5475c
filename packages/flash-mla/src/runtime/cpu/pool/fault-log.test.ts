import { describe, expect, it } from 'vitest';
import { FaultLog } from './fault-log.ts';

const first = new Error('first');
const second = new Error('second');

describe('FaultLog', () => {
  it('tells everybody who was waiting, and nobody who came before the fault or after the report', () => {
    const log = new FaultLog();
    expect(log.take(3, 3)).toBeUndefined();
    log.record(first, 5);
    expect(log.take(4, 8)).toBeUndefined();
    expect(log.take(6, 8)).toBe(first);
    expect(log.take(8, 9)).toBe(first);
    expect(log.take(9, 9)).toBeUndefined();
    expect(log.take(10, 10)).toBeUndefined();
  });

  it('keeps the first of several faults, then hears of new ones', () => {
    const log = new FaultLog();
    log.record(first, 1);
    log.record(second, 2);
    expect(log.take(3, 3)).toBe(first);
    log.record(second, 4);
    expect(log.take(5, 5)).toBe(second);
    expect(log.take(6, 6)).toBeUndefined();
  });
});
