import { listDevices } from 'flash-mla';

/** A device that can be opened, or why there is none. */
export interface Detected {
  readonly id: string;
  readonly name: string;
  readonly available: boolean;
  readonly details: readonly (readonly [label: string, value: string])[];
  /** Why it is absent; empty where it is there. */
  readonly reason: string;
  readonly looked: readonly string[];
  readonly remedy: string;
}

/** One limit of the WebGPU adapter. */
export interface Limit {
  readonly name: string;
  readonly adapter: number;
  /** What every device has: the limit of one that was asked for nothing. */
  readonly guaranteed: number;
}

/** What this browser offers. */
export interface Detection {
  readonly devices: readonly Detected[];
  /** The device that `auto` means. */
  readonly best: string;
  readonly limits: readonly Limit[];
  readonly features: readonly string[];
  readonly crossOriginIsolated: boolean;
  readonly hardwareThreads: number;
}

/** The simulated GPU compiles its kernels to JavaScript, which the page's policy forbids. */
const simulator: Detected = {
  id: 'sim',
  name: 'NVIDIA GPU, simulated',
  available: false,
  details: [],
  reason: 'the simulator turns PTX into JavaScript while it runs',
  looked: ["Content-Security-Policy: script-src without 'unsafe-eval'"],
  remedy: 'In Node: flash-mla selftest --device sim.',
};

export async function detect(): Promise<Detection> {
  const [listings, adapter] = await Promise.all([
    listDevices(['cuda', 'webgpu', 'cpu']),
    requestAdapter(),
  ]);
  const devices = listings.map((listing): Detected => {
    const { id } = listing;
    if (listing.available) {
      const details = Object.entries(listing.details).map(([k, v]) => [k, show(v)] as const);
      const { name } = listing;
      return { id, name, available: true, details, reason: '', looked: [], remedy: '' };
    }
    const { reason, looked, remedy } = listing.error;
    return { id, name: id, available: false, details: [], reason, looked, remedy };
  });
  const isSoftware = listings.some(
    (each) => each.available && each.id === 'webgpu' && each.details.software === true,
  );
  const usable = devices.filter(
    ({ available, id }) => available && !(isSoftware && id === 'webgpu'),
  );
  return {
    devices: [...devices, simulator],
    best: usable[0]?.id ?? 'cpu',
    ...adapter,
    crossOriginIsolated: globalThis.crossOriginIsolated,
    hardwareThreads: navigator.hardwareConcurrency,
  };
}

async function requestAdapter(): Promise<Pick<Detection, 'limits' | 'features'>> {
  const adapter = await navigator.gpu?.requestAdapter({ powerPreference: 'high-performance' });
  if (!adapter) return { limits: [], features: [] };
  const plain = await adapter.requestDevice().catch(() => undefined);
  // The limits are getters of the prototype, so nothing but `in` finds them.
  const limits: Limit[] = [];
  const table = adapter.limits as unknown as Record<string, number>;
  const guaranteed = (plain?.limits ?? {}) as unknown as Record<string, number>;
  for (const name in table) {
    const value = table[name];
    if (typeof value !== 'number') continue;
    limits.push({ name, adapter: value, guaranteed: guaranteed[name] ?? Number.NaN });
  }
  plain?.destroy();
  return { limits, features: [...adapter.features].sort() };
}

function show(value: string | number | boolean): string {
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  return String(value);
}
