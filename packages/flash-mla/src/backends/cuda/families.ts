import type { FamilyEntry, KernelFamily } from './kernel-family.ts';

/** The kernel families in the order of preference. Each is imported when a device of it is opened. */
export const familyEntries: readonly FamilyEntry[] = [
  { name: 'sm90', from: 90, to: 90, load: async () => (await import('./kernels/sm90.ts')).sm90 },
  { name: 'sm80', from: 80, load: async () => (await import('./kernels/sm80.ts')).sm80 },
];

/** The families for an architecture, preferred first. */
export async function loadFamilies(
  sm: number,
  entries: readonly FamilyEntry[] = familyEntries,
): Promise<KernelFamily[]> {
  const fitting = entries.filter(({ from, to }) => from <= sm && sm <= (to ?? sm));
  return Promise.all(fitting.map((entry) => entry.load()));
}
