import type { Feature } from './feature.ts';

/** Registers of `cpuid` leaves and of `xgetbv`, in the order in which the kernel stores them. */
export const words = [
  { leaf: 1, subleaf: 0, register: 'ecx' },
  { leaf: 7, subleaf: 0, register: 'ebx' },
  { leaf: 7, subleaf: 0, register: 'ecx' },
  { leaf: 7, subleaf: 0, register: 'edx' },
  { leaf: 7, subleaf: 1, register: 'eax' },
  { leaf: 0x80000001, subleaf: 0, register: 'ecx' },
  { leaf: 0x80000001, subleaf: 0, register: 'edx' },
] as const;

/** How many 32-bit words `detectFeatures` stores: those above, then the enabled states. */
export const featureWords = words.length + 1;

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
