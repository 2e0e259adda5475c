import { defineKernel, type Kernel, type KernelBuilder } from '../builder/kernel.ts';
import type { Gpr64 } from '../registers/gpr.ts';
import { r8, rax, rbx, rcx, rdx } from '../registers/names.ts';
import { words } from './read.ts';

/** What `cpuid` writes. */
type Found = Readonly<Record<'eax' | 'ebx' | 'ecx' | 'edx', Gpr64>>;
/** Whether the operating system lets programs read XCR0. */
const readableStates = 1 << 27;

/**
 * A kernel that runs on every x86-64 processor and writes {@link featureWords} words of 32 bits to `out`.
 * {@link readFeatures} says what they mean.
 */
export const detectFeatures: Kernel<{ out: 'pointer' }> = defineKernel(
  { name: 'detect_features', features: [], job: { out: 'pointer' } },
  (k, job) => {
    const out = k.reserve(r8, 'out');
    k.set(out, job.out);
    k.freeJob();
    const found: Found = {
      eax: k.reserve(rax, 'eax'),
      ebx: k.reserve(rbx, 'ebx'),
      ecx: k.reserve(rcx, 'ecx'),
      edx: k.reserve(rdx, 'edx'),
    };
    for (const [i, { leaf, subleaf, register }] of words.entries()) {
      const to = out.at(4 * i);
      readLeaf(k, found, leaf, subleaf);
      k.mov(to, found[register].low32);
    }
    k.comment('the states that the operating system saves');
    k.set(found.eax, 0);
    k.test(out.at().dword, readableStates);
    k.if(k.flags('ne'), () => {
      k.set(found.ecx, 0);
      k.xgetbv();
    });
    k.mov(out.at(4 * words.length), found.eax.low32);
  },
);

/** Reads a leaf into the four registers; zeros if the processor does not have it. */
function readLeaf(k: KernelBuilder, found: Found, leaf: number, subleaf: number): void {
  // Leaf 0 of each range tells the highest of the range.
  k.set(found.eax, leaf & 0x80000000 ? 0x80000000 : 0);
  k.cpuid();
  k.cmp(found.eax.low32, leaf);
  k.if(
    k.flags('aboveOrEqual'),
    () => {
      k.set(found.eax, leaf);
      k.set(found.ecx, subleaf);
      k.cpuid();
    },
    () => {
      for (const register of Object.values(found)) k.set(register, 0);
    },
  );
}
