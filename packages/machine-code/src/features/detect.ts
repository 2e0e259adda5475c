import { defineKernel, type Kernel, type KernelBuilder } from '../builder/kernel.ts';
import type { Gpr64 } from '../registers/gpr.ts';
import { r8, rax, rbx, rcx, rdx } from '../registers/names.ts';
import type { Feature } from './feature.ts';

/** Registers of `cpuid` leaves and of `xgetbv`, in the order in which the kernel stores them. */
const words = [
  { leaf: 1, subleaf: 0, register: 'ecx' },
  { leaf: 7, subleaf: 0, register: 'ebx' },
  { leaf: 7, subleaf: 0, register: 'ecx' },
  { leaf: 7, subleaf: 0, register: 'edx' },
  { leaf: 7, subleaf: 1, register: 'eax' },
  { leaf: 0x80000001, subleaf: 0, register: 'ecx' },
  { leaf: 0x80000001, subleaf: 0, register: 'edx' },
] as const;

/** How many 32-bit words {@link detectFeatures} stores: those above, then the enabled states. */
export const featureWords = words.length + 1;

/** What `cpuid` writes. */
type Found = Readonly<Record<'eax' | 'ebx' | 'ecx' | 'edx', Gpr64>>;
type Source = readonly [leaf: number, subleaf: number, register: string, bit: number];

const bits: Readonly<Record<Feature, Source>> = {
  popcnt: [1, 0, 'ecx', 23],
  bmi1: [7, 0, 'ebx', 3],
  bmi2: [7, 0, 'ebx', 8],
  lzcnt: [0x80000001, 0, 'ecx', 5],
  rdtscp: [0x80000001, 0, 'edx', 27],
  '3dnowprefetch': [0x80000001, 0, 'ecx', 8],
  avx: [1, 0, 'ecx', 28],
  f16c: [1, 0, 'ecx', 29],
  fma: [1, 0, 'ecx', 12],
  avx2: [7, 0, 'ebx', 5],
  avx512f: [7, 0, 'ebx', 16],
  avx512dq: [7, 0, 'ebx', 17],
  avx512cd: [7, 0, 'ebx', 28],
  avx512bw: [7, 0, 'ebx', 30],
  avx512vl: [7, 0, 'ebx', 31],
  avx512vbmi: [7, 0, 'ecx', 1],
  avx512_vbmi2: [7, 0, 'ecx', 6],
  avx512_vnni: [7, 0, 'ecx', 11],
  avx512_bf16: [7, 1, 'eax', 5],
  avx512_fp16: [7, 0, 'edx', 23],
  amx_bf16: [7, 0, 'edx', 22],
  amx_tile: [7, 0, 'edx', 24],
  amx_int8: [7, 0, 'edx', 25],
  amx_fp16: [7, 1, 'eax', 21],
};

/** States that the operating system must save for a feature: bits of XCR0. */
function statesOf(feature: Feature): number {
  if (feature.startsWith('amx')) return 0x60000;
  if (feature.startsWith('avx512')) return 0xe6;
  return ['avx', 'avx2', 'fma', 'f16c'].includes(feature) ? 0x6 : 0;
}

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

/** The features that a processor has and its operating system supports. */
export function readFeatures(found: Uint32Array): Set<Feature> {
  const states = found[words.length];
  const all = Object.entries(bits) as [Feature, Source][];
  return new Set(
    all
      .filter(([feature, [leaf, subleaf, register, bit]]) => {
        const word = words.findIndex(
          (w) => w.leaf === leaf && w.subleaf === subleaf && w.register === register,
        );
        const needed = statesOf(feature);
        return ((found[word] >>> bit) & 1) === 1 && (states & needed) === needed;
      })
      .map(([feature]) => feature),
  );
}
