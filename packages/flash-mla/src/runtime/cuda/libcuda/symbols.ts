import type { NativeFunction, NativeLibrary, NativeTask, NativeType } from './native.ts';

type Prototype = readonly [symbol: string, ...parameters: NativeType[]];

/**
 * The driver functions in use: exported symbol (with the version suffix that the current `cuda.h`
 * maps the name to) and parameters. Pointers, sizes and handles are `u64`.
 */
const prototypes = {
  cuInit: ['cuInit', 'u32'],
  cuDriverGetVersion: ['cuDriverGetVersion', 'u64'],
  cuGetErrorName: ['cuGetErrorName', 'i32', 'u64'],
  cuGetErrorString: ['cuGetErrorString', 'i32', 'u64'],
  cuDeviceGetCount: ['cuDeviceGetCount', 'u64'],
  cuDeviceGet: ['cuDeviceGet', 'u64', 'i32'],
  cuDeviceGetName: ['cuDeviceGetName', 'u64', 'i32', 'i32'],
  cuDeviceTotalMem: ['cuDeviceTotalMem_v2', 'u64', 'i32'],
  cuDeviceGetAttribute: ['cuDeviceGetAttribute', 'u64', 'i32', 'i32'],
  cuDevicePrimaryCtxRetain: ['cuDevicePrimaryCtxRetain', 'u64', 'i32'],
  cuDevicePrimaryCtxRelease: ['cuDevicePrimaryCtxRelease_v2', 'i32'],
  cuDevicePrimaryCtxReset: ['cuDevicePrimaryCtxReset_v2', 'i32'],
  cuCtxSetCurrent: ['cuCtxSetCurrent', 'u64'],
  cuMemGetInfo: ['cuMemGetInfo_v2', 'u64', 'u64'],
  cuMemAlloc: ['cuMemAlloc_v2', 'u64', 'u64'],
  cuMemFree: ['cuMemFree_v2', 'u64'],
  cuMemHostAlloc: ['cuMemHostAlloc', 'u64', 'u64', 'u32'],
  cuMemFreeHost: ['cuMemFreeHost', 'u64'],
  cuMemHostRegister: ['cuMemHostRegister_v2', 'u64', 'u64', 'u32'],
  cuMemHostGetDevicePointer: ['cuMemHostGetDevicePointer_v2', 'u64', 'u64', 'u32'],
  cuMemHostUnregister: ['cuMemHostUnregister', 'u64'],
  cuMemcpyHtoDAsync: ['cuMemcpyHtoDAsync_v2', 'u64', 'u64', 'u64', 'u64'],
  cuMemcpyDtoHAsync: ['cuMemcpyDtoHAsync_v2', 'u64', 'u64', 'u64', 'u64'],
  cuMemcpyDtoDAsync: ['cuMemcpyDtoDAsync_v2', 'u64', 'u64', 'u64', 'u64'],
  cuMemsetD32Async: ['cuMemsetD32Async', 'u64', 'u32', 'u64', 'u64'],
  cuStreamCreate: ['cuStreamCreate', 'u64', 'u32'],
  cuStreamDestroy: ['cuStreamDestroy_v2', 'u64'],
  cuStreamWaitEvent: ['cuStreamWaitEvent', 'u64', 'u64', 'u32'],
  cuEventCreate: ['cuEventCreate', 'u64', 'u32'],
  cuEventDestroy: ['cuEventDestroy_v2', 'u64'],
  cuEventRecord: ['cuEventRecord', 'u64', 'u64'],
  cuEventQuery: ['cuEventQuery', 'u64'],
  cuEventSynchronize: ['cuEventSynchronize', 'u64'],
  cuEventElapsedTime: ['cuEventElapsedTime', 'u64', 'u64', 'u64'],
  cuLinkCreate: ['cuLinkCreate_v2', 'u32', 'u64', 'u64', 'u64'],
  cuLinkAddData: ['cuLinkAddData_v2', 'u64', 'i32', 'u64', 'u64', 'u64', 'u32', 'u64', 'u64'],
  cuLinkComplete: ['cuLinkComplete', 'u64', 'u64', 'u64'],
  cuLinkDestroy: ['cuLinkDestroy', 'u64'],
  cuModuleLoadData: ['cuModuleLoadData', 'u64', 'u64'],
  cuModuleLoadDataEx: ['cuModuleLoadDataEx', 'u64', 'u64', 'u32', 'u64', 'u64'],
  cuModuleUnload: ['cuModuleUnload', 'u64'],
  cuModuleGetFunction: ['cuModuleGetFunction', 'u64', 'u64', 'u64'],
  cuFuncGetAttribute: ['cuFuncGetAttribute', 'u64', 'i32', 'u64'],
  cuFuncSetAttribute: ['cuFuncSetAttribute', 'u64', 'i32', 'i32'],
  cuLaunchKernelEx: ['cuLaunchKernelEx', 'u64', 'u64', 'u64', 'u64'],
  cuStreamBeginCapture: ['cuStreamBeginCapture_v2', 'u64', 'i32'],
  cuStreamEndCapture: ['cuStreamEndCapture', 'u64', 'u64'],
  cuGraphInstantiate: ['cuGraphInstantiateWithFlags', 'u64', 'u64', 'u64'],
  cuGraphLaunch: ['cuGraphLaunch', 'u64', 'u64'],
  cuGraphDestroy: ['cuGraphDestroy', 'u64'],
  cuGraphExecDestroy: ['cuGraphExecDestroy', 'u64'],
} as const satisfies Record<string, Prototype>;

/** What some kernels need and older drivers lack. */
const optionalPrototypes = {
  cuTensorMapEncodeTiled: [
    'cuTensorMapEncodeTiled',
    'u64',
    'u32',
    'u32',
    'u64',
    'u64',
    'u64',
    'u64',
    'u64',
    'u32',
    'u32',
    'u32',
    'u32',
  ],
} as const satisfies Record<string, Prototype>;

export type OptionalCall = keyof typeof optionalPrototypes;
export type DriverCall = keyof typeof prototypes | OptionalCall;
export type DriverApi = Readonly<Record<keyof typeof prototypes, NativeFunction>>;
export type OptionalApi = Readonly<Partial<Record<OptionalCall, NativeFunction>>>;

/** Binds what the library has of {@link OptionalApi}. */
export function bindOptional(library: NativeLibrary): OptionalApi {
  const api: Partial<Record<OptionalCall, NativeFunction>> = {};
  for (const [name, [symbol, ...parameters]] of Object.entries(optionalPrototypes)) {
    const bound = library.bind(symbol, parameters);
    if (bound !== undefined) api[name as OptionalCall] = bound;
  }
  return api;
}

/** Calls that take a good part of a second, to be waited for while something else is done. */
export interface DriverTasks {
  readonly cuInit: NativeTask;
  readonly cuDevicePrimaryCtxRetain: NativeTask;
}

/** Binds {@link DriverTasks} of a library that has the symbols. */
export function bindTasks(library: NativeLibrary): DriverTasks {
  const bind = (call: keyof DriverTasks): NativeTask => {
    const [symbol, ...parameters] = prototypes[call];
    const task = library.bindTask(symbol, parameters);
    if (task === undefined) throw new Error(`${symbol} is gone`);
    return task;
  };
  return { cuInit: bind('cuInit'), cuDevicePrimaryCtxRetain: bind('cuDevicePrimaryCtxRetain') };
}

/** Binds every function; the symbols that the library lacks are returned instead if there are any. */
export function bindDriver(library: NativeLibrary): DriverApi | { readonly missing: string[] } {
  const api: Partial<Record<keyof DriverApi, NativeFunction>> = {};
  const missing: string[] = [];
  for (const [name, [symbol, ...parameters]] of Object.entries(prototypes)) {
    const bound = library.bind(symbol, parameters);
    if (bound === undefined) missing.push(symbol);
    else api[name as keyof DriverApi] = bound;
  }
  return missing.length > 0 ? { missing } : (api as DriverApi);
}
