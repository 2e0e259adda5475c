import type { Code } from '../assembler/code.ts';
import { instructionsOf } from '../assembler/instructions.ts';
import type { Item } from '../assembler/item.ts';
import { alignUp } from '../assembler/layout.ts';
import { KernelError } from '../errors.ts';
import { Memory } from '../operands/memory.ts';
import { eachRegister } from '../operands/operand.ts';
import { Gpr64 } from '../registers/gpr.ts';
import { rbp, rsp, xmm } from '../registers/names.ts';
import { fileOf, type Register } from '../registers/register.ts';
import type { Abi } from './abi.ts';

/** More would need probes of each page on Windows; a job's workspace is the place for it. */
const mostBytes = 4096;

/** Memory of a kernel's own on the stack, below what it saves of the caller's registers. */
export class Frame {
  readonly #abi: Abi;
  #bytes: number;
  #align = 16;
  #used = false;

  constructor(abi: Abi) {
    this.#abi = abi;
    this.#bytes = abi.shadowBytes;
  }

  /** So many bytes at a multiple of `align`, up to 64. */
  slot(bytes: number, align: number): Memory<'gpr64'> {
    const offset = alignUp(this.#bytes, align);
    const valid = Number.isInteger(bytes) && bytes > 0 && [1, 2, 4, 8, 16, 32, 64].includes(align);
    if (!valid || offset + bytes > mostBytes) {
      throw new KernelError({
        subject: 'stack frame',
        expected: `slots aligned to at most 64 that end within ${mostBytes} bytes`,
        actual: `${bytes} bytes at ${offset}, aligned to ${align}`,
        remedy: 'Give the job a pointer to a workspace.',
      });
    }
    this.#bytes = offset + bytes;
    this.#align = Math.max(this.#align, align);
    this.#used = true;
    return new Memory({ base: rsp, displacement: offset });
  }

  /** What comes before and after the body, given what the body uses. */
  around(code: Code, body: readonly Item[]): { before: Item[]; after: Item[] } {
    const a = instructionsOf(code);
    const { gprs, vectors, calls, wide, tiles } = survey(body);
    const saved = this.#abi.preserved.filter((n) => gprs.has(n)).map((n) => new Gpr64(n));
    const savedVectors = this.#abi.preservedVectors.filter((n) => vectors.has(n));
    const start = alignUp(this.#bytes, 16);
    const needsFrame = this.#used || calls || savedVectors.length > 0;
    // The return address, rbp and the saved registers lie above; rsp must be a multiple of 16 below.
    const odd = saved.length % 2 === 0 ? 0 : 8;
    const bytes = start + savedVectors.length * 16 + odd;
    const slots = savedVectors.map((n, i) => [xmm(n), rsp.at(start + i * 16)] as const);
    const before = code.collect(() => {
      a.push(rbp);
      a.mov(rbp, rsp);
      for (const register of saved) a.push(register);
      if (needsFrame) {
        a.sub(rsp, bytes);
        if (this.#align > 16) a.and(rsp, -this.#align);
      }
      for (const [register, slot] of slots) a.vmovups(slot, register);
    });
    const after = code.collect(() => {
      if (tiles) a.tilerelease();
      for (const [register, slot] of slots) a.vmovups(register, slot);
      if (wide) a.vzeroupper();
      if (needsFrame) a.lea(rsp, rbp.at(-8 * saved.length));
      for (const register of [...saved].reverse()) a.pop(register);
      a.pop(rbp);
      a.ret();
    });
    return { before, after };
  }
}

/** The registers that code uses, and what an epilogue must know of it. */
function survey(items: readonly Item[]) {
  const gprs = new Set<number>();
  const vectors = new Set<number>();
  let [calls, wide, tiles] = [false, false, false];
  const note = ({ kind, number }: Register): void => {
    const file = fileOf(kind);
    if (file === 'gpr') gprs.add(number);
    if (file === 'vector') vectors.add(number);
    if (file === 'tile') tiles = true;
    if (kind === 'ymm' || kind === 'zmm') wide = true;
  };
  for (const item of items) {
    if (item.kind !== 'jump' && item.kind !== 'instruction') continue;
    if (item.mnemonic === 'call') calls = true;
    if (item.kind === 'jump') continue;
    for (const number of item.implicit) gprs.add(number);
    if (item.mnemonic === 'ldtilecfg') tiles = true;
    for (const operand of item.operands) eachRegister(operand, note);
  }
  return { gprs, vectors, calls, wide, tiles };
}
