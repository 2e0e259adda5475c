import { describe, expect, it } from 'vitest';
import { SimMemory, SimMemoryError } from './memory.ts';

describe('SimMemory', () => {
  it('allocates aligned blocks with gaps, never twice at the same place', () => {
    const memory = new SimMemory();
    const a = memory.alloc(100);
    const b = memory.alloc(1);
    expect(a % 512n).toBe(0n);
    expect(b - a).toBeGreaterThanOrEqual(4096n);
    memory.free(a);
    expect(memory.alloc(100)).toBeGreaterThan(b);
    expect(memory.usage.used).toBe(101);
  });

  it('copies to and fro', () => {
    const memory = new SimMemory();
    const a = memory.allocFrom(Uint16Array.of(1, 2, 3));
    memory.write(a + 2n, Uint8Array.of(9));
    memory.fill(Number(a) + 4, 0xff, 1);
    expect([...memory.read(a, 6)]).toEqual([1, 0, 9, 0, 255, 0]);
    const b = memory.alloc(6);
    memory.copy(b, a, 6);
    expect([...memory.read(b, 3)]).toEqual([1, 0, 9]);
  });

  it('refuses what the host must not do', () => {
    const memory = new SimMemory({ capacity: 1000 });
    const a = memory.alloc(600);
    expect(() => memory.alloc(600)).toThrow(SimMemoryError);
    expect(() => memory.alloc(600)).toThrow('600 bytes requested, 400 of 1000 free');
    expect(() => memory.read(a, 601)).toThrow('601 bytes');
    expect(() => memory.free(a + 1n)).toThrow("is not an allocation's start");
    memory.free(a);
    expect(() => memory.read(a, 1)).toThrow('freed');
    expect(() => memory.alloc(0)).toThrow(SimMemoryError);
  });
});
