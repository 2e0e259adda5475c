import type { Capabilities } from './runtime/limits.ts';
import { selectTuning, type Tuning } from './runtime/tuning.ts';

/** What is asked of an adapter: all that it has, or only what every device has. */
export type Profile = 'adapter' | 'default';

/** Optional features that kernels or measurements use. */
const usedFeatures = ['subgroups', 'timestamp-query'] as const;

/** Limits of which more is better than the default. */
const usedLimits = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxComputeWorkgroupStorageSize',
  'maxStorageBuffersPerShaderStage',
] as const;

/** What to request of an adapter under a profile. */
export function deviceDescriptor(adapter: GPUAdapter, profile: Profile): GPUDeviceDescriptor {
  if (profile === 'default') return {};
  const requiredLimits: Record<string, number> = {};
  for (const name of usedLimits) requiredLimits[name] = adapter.limits[name];
  const requiredFeatures = usedFeatures.filter((name) => adapter.features.has(name));
  return { requiredLimits, requiredFeatures };
}

/** Whether a CPU runs the shaders, so that the CPU backend is the better choice. */
export function isSoftware({ info }: GPUAdapter): boolean {
  const name = `${info.vendor} ${info.architecture} ${info.device} ${info.description}`;
  return (
    info.isFallbackAdapter || /swiftshader|llvmpipe|lavapipe|software|microsoft basic/i.test(name)
  );
}

/** How kernels are tuned on an adapter. */
export function tuningOf(adapter: GPUAdapter, profile: Profile): Tuning {
  return selectTuning({
    vendor: adapter.info.vendor,
    isSoftware: isSoftware(adapter),
    isDefaultProfile: profile === 'default',
  });
}

export function adapterName({ info }: GPUAdapter): string {
  const { description, device, architecture, vendor } = info;
  return description || device || [vendor, architecture].filter(Boolean).join(' ') || 'unknown GPU';
}

type Details = Record<string, string | number | boolean>;

/** Facts about an adapter for `doctor`, and what a profile makes of it, in display order. */
export function adapterDetails(adapter: GPUAdapter, profile: Profile): Details {
  const { info, limits, features } = adapter;
  const details: Details = {
    vendor: info.vendor || 'unknown',
    architecture: info.architecture || 'unknown',
    software: isSoftware(adapter),
  };
  if (features.has('subgroups')) {
    details['subgroup sizes'] = `${info.subgroupMinSize} to ${info.subgroupMaxSize}`;
  }
  details['largest buffer (MiB)'] = Math.floor(limits.maxBufferSize / 2 ** 20);
  details['largest binding (MiB)'] = Math.floor(limits.maxStorageBufferBindingSize / 2 ** 20);
  details['storage bindings'] = limits.maxStorageBuffersPerShaderStage;
  details['workgroup memory (KiB)'] = limits.maxComputeWorkgroupStorageSize / 1024;
  details.features = [...features].sort().join(', ') || 'none';
  const used = [...(deviceDescriptor(adapter, profile).requiredFeatures ?? [])];
  details.profile = profile;
  details['features used'] = used.join(', ') || 'none';
  details.tuning = tuningOf(adapter, profile).reason;
  return details;
}

/** {@link adapterDetails}, and what asking a device of it has found. */
export function deviceDetails(
  adapter: GPUAdapter,
  profile: Profile,
  capabilities: Capabilities,
): Details {
  return {
    ...adapterDetails(adapter, profile),
    tuning: capabilities.tuning.reason,
    'workgroup memory used (KiB)': capabilities.workgroupBytes / 1024,
    'lane exchange': capabilities.quads ? 'quad operations' : 'workgroup memory',
    'e4m3 decoding': capabilities.halfSubnormals ? 'through halves' : 'from bits',
  };
}
