import { KernelError, RegisterError } from '../errors.ts';
import {
  fileOf,
  type Lease,
  type Register,
  type RegisterFile,
  type RegisterKind,
} from '../registers/register.ts';
import type { Abi } from './abi.ts';
import { Bank } from './register_file.ts';

interface Held {
  readonly file: RegisterFile;
  readonly number: number;
  readonly lease: Lease;
}

/** Registers that a recording used: they stay reserved until its instructions are placed. */
interface Recording {
  readonly lease: Lease;
  readonly free: Held[];
  /** Its own leases: ended or not, its instructions may name them. */
  readonly own: Set<Lease>;
}

const framePointer = 5;

const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

/** Scratch registers first, so that few need to be saved; rsp and rbp are the frame's. */
const gprOrder = ({ preserved }: Abi): number[] => {
  const all = [0, 1, 2, 6, 7, 8, 9, 10, 11, 3, 12, 13, 14, 15];
  return [
    ...all.filter((n) => !preserved.includes(n)),
    ...all.filter((n) => preserved.includes(n)),
  ];
};

/**
 * Hands out registers by name. What a scope took is free when it ends; nothing is spilled: what does not
 * fit is an error that says who holds the registers.
 */
export class RegisterPool {
  readonly #banks: Readonly<Record<RegisterFile, Bank>>;
  #scopes: Held[][] = [[]];
  #recording: Recording | undefined;

  /** `vectors` is 32 with AVX-512, 16 without. */
  constructor(abi: Abi, vectors: 16 | 32) {
    const kept = abi.preservedVectors;
    const order = [...range(vectors).filter((n) => !kept.includes(n)), ...kept];
    this.#banks = {
      gpr: new Bank('gpr', gprOrder(abi)),
      vector: new Bank('vector', order),
      // k0 cannot choose lanes, so it is only given to those who ask for it.
      mask: new Bank('mask', range(8).slice(1)),
      tile: new Bank('tile', range(8)),
    };
    this.#banks.gpr.hold(framePointer, { name: 'the stack frame', ended: false });
  }

  /** A free register for each name. `below` limits their numbers. */
  take(kind: RegisterKind, name: string, count: number, below = 32): Held[] {
    const bank = this.#banks[fileOf(kind)];
    return range(count).map((i) => {
      const called = count === 1 ? name : `${name}[${i}]`;
      const number = this.#reused(bank.file, below) ?? bank.firstFree(below);
      if (number === undefined) throw bank.full(name, kind, count - i, below);
      return this.#hold(bank, number, called);
    });
  }

  /** This very register. @throws RegisterError if somebody holds it. */
  reserve(register: Register, name: string): Held {
    const bank = this.#banks[fileOf(register.kind)];
    const holder = bank.holder(register.number);
    if (holder === undefined) return this.#hold(bank, register.number, name);
    throw new RegisterError({
      subject: `register ${register}, wanted for "${name}"`,
      expected: 'one that nobody holds',
      actual: `it is held by "${holder.name}"`,
      remedy: 'Reserve it before others are taken, or free it.',
    });
  }

  /** Gives a register back before its scope ends. */
  free(register: Register): void {
    this.check(register);
    const { kind, number, lease } = register;
    if (lease === undefined) {
      throw new RegisterError({
        subject: `register ${register}`,
        expected: 'a register that was taken from the pool',
        actual: 'one used by its own name',
        remedy: 'Free what `gpr`, `zmm`, `reserve` and so on gave.',
      });
    }
    this.#release({ file: fileOf(kind), number, lease });
  }

  /** What `fill` takes is free afterwards. */
  scope<R>(fill: () => R): R {
    const held: Held[] = [];
    this.#scopes.push(held);
    try {
      return fill();
    } finally {
      this.#scopes.pop();
      for (const one of held) if (!one.lease.ended) this.#release(one);
    }
  }

  /**
   * What `fill` takes and frees may be taken again inside, but not outside until `end` is called: its
   * instructions will stand between others. `check` is for when they do: registers of others must still
   * be held then.
   */
  record(name: string, fill: () => void): { check: (register: Register) => void; end: () => void } {
    if (this.#recording !== undefined) {
      throw new KernelError({
        subject: `stream "${name}"`,
        expected: 'a recording outside of others',
        actual: `one inside of "${this.#recording.lease.name}"`,
        remedy: 'Record the streams one after the other.',
      });
    }
    const lease: Lease = { name: `stream ${name}`, ended: false };
    const recording: Recording = { lease, free: [], own: new Set() };
    this.#recording = recording;
    try {
      this.scope(fill);
    } finally {
      this.#recording = undefined;
    }
    return {
      check: (register) => {
        const known = register.lease !== undefined && recording.own.has(register.lease);
        if (!known) this.check(register);
      },
      end: () => {
        for (const { file, number } of recording.free) this.#banks[file].release(number);
        recording.free.length = 0;
      },
    };
  }

  /** @throws RegisterError if the register was freed, or is somebody else's. */
  check(register: Register): void {
    const { lease } = register;
    const holder = this.#banks[fileOf(register.kind)].holder(register.number);
    if (lease?.ended) {
      throw new RegisterError({
        subject: `register "${lease.name}" (${register})`,
        expected: 'a register that is still held',
        actual: 'one that was freed, or whose scope has ended',
        remedy: 'Take it in the scope that outlives its uses.',
      });
    }
    if (holder === undefined || holder === lease) return;
    throw new RegisterError({
      subject: `register ${register}`,
      expected: 'a register that nobody holds, or the name it is held by',
      actual: `it is held by "${holder.name}"`,
      remedy: 'Take a register from the pool, or reserve this one first.',
    });
  }

  #reused(file: RegisterFile, below: number): number | undefined {
    const free = this.#recording?.free;
    const at = free?.findIndex((held) => held.file === file && held.number < below) ?? -1;
    return at < 0 ? undefined : free?.splice(at, 1)[0].number;
  }

  #hold(bank: Bank, number: number, name: string): Held {
    const held: Held = { file: bank.file, number, lease: { name, ended: false } };
    bank.hold(number, held.lease);
    this.#recording?.own.add(held.lease);
    this.#scopes[this.#scopes.length - 1].push(held);
    return held;
  }

  #release(held: Held): void {
    const { file, number, lease } = held;
    lease.ended = true;
    if (this.#recording === undefined) this.#banks[file].release(number);
    else {
      this.#recording.free.push(held);
      this.#recording.own.add(lease);
      this.#banks[file].hold(number, this.#recording.lease);
    }
  }
}
