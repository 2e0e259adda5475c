/** Results of driver calls (CUresult) that this backend tells apart. */
export const cudaResults = {
  success: 0,
  outOfMemory: 2,
  noDevice: 100,
  jitCompilerNotFound: 221,
  notReady: 600,
  illegalAddress: 700,
  launchFailed: 719,
} as const;

/** Results after which the context is beyond use: every later call in it gives the same. */
const sticky: ReadonlySet<number> = new Set([
  4, // deinitialized
  46, // device unavailable
  201, // invalid context
  214, // ecc uncorrectable
  220, // nvlink uncorrectable
  226, // contained
  700, // illegal address
  702, // launch timeout
  709, // context is destroyed
  710, // assert
  714, // hardware stack error
  715, // illegal instruction
  716, // misaligned address
  717, // invalid address space
  718, // invalid pc
  719, // launch failed
  721, // tensor memory leak
  810, // mps client terminated
  911, // external device
  999, // unknown
]);

/** Whether a result means that its context is beyond use: every later call gives the same. */
export function isSticky(code: number): boolean {
  return sticky.has(code);
}

/**
 * Whether a result tells of a kernel that faulted: 700 to 721 that are sticky. CUDA promises nothing to
 * a process after that, so that opening the device again may give the same result.
 */
export function isFault(code: number): boolean {
  return isSticky(code) && code >= cudaResults.illegalAddress && code <= 721;
}

const remedies: ReadonlyMap<number, string> = new Map([
  [1, 'This is a bug in flash-mla; please report it.'],
  [2, 'Dispose of tensors, or use a device with more memory.'],
  [3, 'The process forked after CUDA was initialised, or is exiting.'],
  [34, 'This libcuda is the CUDA toolkit stub; remove `stubs` from LD_LIBRARY_PATH.'],
  [36, 'Update the NVIDIA driver.'],
  [46, 'Another process holds the device exclusively; see `nvidia-smi -q -d COMPUTE`.'],
  [100, 'No GPU is visible; see `nvidia-smi` and CUDA_VISIBLE_DEVICES.'],
  [101, 'Use one of the devices that `flash-mla doctor` lists.'],
  [209, 'The driver does not know this GPU architecture; update the driver.'],
  [214, 'The GPU has a memory fault; see `nvidia-smi -q -d ECC,ROW_REMAPPER`.'],
  [221, 'libnvidia-ptxjitcompiler is missing beside libcuda; install the whole driver.'],
  [222, 'The driver is too old for this kernel; update it.'],
  [700, 'Run again with FLASH_MLA_DEBUG=1, which checks block tables, indices and lengths.'],
  [701, 'The kernel needs more registers or shared memory than the GPU has; please report it.'],
  [702, 'The GPU also drives a display, whose watchdog ended the kernel; use smaller problems.'],
  [716, 'Please report it with the shapes and strides of the call.'],
  [719, 'Run again with FLASH_MLA_DEBUG=1, which checks block tables, indices and lengths.'],
  [802, 'The GPU fabric is still starting; see the nvidia-fabricmanager service.'],
  [803, 'Kernel module and libcuda differ in version; reboot after a driver update.'],
  [804, 'The cuda-compat library does not support this GPU; remove it from LD_LIBRARY_PATH.'],
]);

/** What a user can do about a result. */
export function remedyOf(code: number): string {
  return remedies.get(code) ?? 'Please report it with the output of `flash-mla doctor --json`.';
}
