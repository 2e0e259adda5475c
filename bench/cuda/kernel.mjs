// Loads and launches single kernels of @flash-mla/ptx on a driver's context, without a backend.
import { ptx } from './app.mjs';

/** What the driver takes for a kernel. */
export async function sourceOf(kernel, target) {
  const { emitPtx } = await ptx();
  return { name: kernel.name, kernel, target, ptx: () => emitPtx(kernel, target) };
}

/** A launch that is ready to run; `values` are the kernel's parameters by name. */
export function prepare(context, source, loaded, stream, grid, values, overlap = false) {
  const { kernel } = source;
  const parameters = kernel.packParams(values);
  const run = context.prepareRun({
    kernel: loaded,
    source,
    block: kernel.block,
    cluster: kernel.cluster.some((n) => n > 1) ? kernel.cluster : undefined,
    sharedBytes: kernel.sharedBytes,
    overlap,
    parameterBytes: parameters.length,
  });
  parameters.forEach((byte, i) => {
    run.parameters.setUint8(i, byte);
  });
  return { parameters: run.parameters, run: () => run.run(grid, stream) };
}

/** Copies bytes to new device memory; blocks. */
export function upload(context, stream, bytes) {
  const address = context.allocate(Math.max(1, bytes.length));
  const pinned = context.allocatePinned(Math.max(1, bytes.length));
  pinned.bytes.set(bytes);
  context.copyToDevice(address, pinned.address, bytes.length, stream);
  finish(context, stream);
  context.freePinned(pinned);
  return address;
}

/** Copies bytes from the device; blocks. */
export function download(context, stream, address, length) {
  const pinned = context.allocatePinned(length);
  context.copyToHost(pinned.address, address, length, stream);
  finish(context, stream);
  const bytes = pinned.bytes.slice(0, length);
  context.freePinned(pinned);
  return bytes;
}

/** Blocks until a stream's work is done. */
export function finish(context, stream) {
  const event = context.createEvent(false);
  context.recordEvent(event, stream);
  context.synchronizeEvent(event);
  context.destroyEvent(event);
}
