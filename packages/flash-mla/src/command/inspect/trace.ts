import type { ProblemOptions } from '../../ops/bench/operation.ts';
import { flashMlaKernels } from '../../ops/kernel-libraries.ts';
import type { DeviceFacts } from '../../runtime/cuda/driver/driver.ts';
import { type Inspection, inspectCall } from '../../runtime/cuda/inspect/inspect.ts';
import { CudaTrace } from '../../runtime/cuda/inspect/trace.ts';
import type { Backend } from '../../runtime/device/backend.ts';
import { Device } from '../../runtime/device/device.ts';
import { type Trace, WebGpuTrace } from '../../runtime/webgpu/inspect/trace.ts';
import type { Capabilities } from '../../runtime/webgpu/runtime/limits.ts';
import type { InspectOperation } from './operations.ts';

/** What a GPU that is not there would do for a problem. */
export async function traceCuda(
  operation: InspectOperation,
  options: ProblemOptions,
  gpu: DeviceFacts,
): Promise<Inspection> {
  const trace = await CudaTrace.open(gpu, flashMlaKernels.cuda);
  return inspectCall(trace, callOn(trace, operation, options));
}

/** What a WebGPU device that is not there would do for a problem. */
export async function traceWebGpu(
  operation: InspectOperation,
  options: ProblemOptions,
  adapter: string,
  capabilities: Capabilities,
): Promise<Trace> {
  const trace = new WebGpuTrace(adapter, capabilities, await flashMlaKernels.webgpu());
  const call = callOn(trace, operation, options);
  if (operation.role === undefined) return call;
  const { role } = operation;
  const dispatches = call.dispatches.filter((dispatch) => dispatch.name.startsWith(role));
  return { ...call, dispatches };
}

function callOn<Call extends { readonly operation: InspectOperation['operation'] }>(
  backend: Backend & { readonly calls: readonly Call[] },
  { operation, call }: InspectOperation,
  options: ProblemOptions,
): Call {
  call(new Device(backend, false, []), options);
  const traced = backend.calls.find((each) => each.operation === operation);
  if (traced === undefined) throw new RangeError(`${operation.name} was not called`);
  return traced;
}
