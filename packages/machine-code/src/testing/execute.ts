import type { Feature } from '../features/feature.ts';
import {
  detectFeatures,
  featureWords,
  type JobDeclaration,
  type JobValues,
  type Kernel,
  type Program,
  readFeatures,
} from '../index.ts';

/** Memory that emitted code and JavaScript share. */
export interface Native {
  /** What this processor and its operating system can do. */
  readonly features: ReadonlySet<Feature>;
  /** Address of an array's content; it stays while the array is referenced. */
  addressOf(array: ArrayBufferView): bigint;
  /** Makes code callable with up to six integers. */
  load(program: Program): Callable;
}

/** Loaded code. */
export interface Callable {
  (...args: (bigint | number)[]): bigint;
  readonly address: bigint;
}

/** The convention of this process. */
export const abi = process.platform === 'win32' ? 'windows' : 'system-v';

const canTry = process.platform === 'linux' && process.arch === 'x64';
const [readWrite, readExecute, privateAnonymous] = [3, 5, 0x22];
const failed = 0xffffffffffffffffn;

async function open(): Promise<Native | undefined> {
  if (!canTry) return undefined;
  const koffi = await import('koffi').catch(() => undefined);
  if (koffi === undefined) return undefined;
  const libc = koffi.load(null);
  const mmap = libc.func('mmap', 'void *', ['void *', 'size_t', 'int', 'int', 'int', 'int64_t']);
  const mprotect = libc.func('mprotect', 'int', ['void *', 'size_t', 'int']);
  const syscall = libc.func('syscall', 'long', ['long', 'long', 'long', 'long']);
  const load = ({ bytes, name }: Program) => {
    const size = Math.ceil(bytes.length / 4096) * 4096;
    // Writable first, then executable, never both.
    const address = mmap(null, size, readWrite, privateAnonymous, -1, 0) as bigint;
    if (address === failed) throw new Error(`mmap of ${size} bytes for ${name}`);
    new Uint8Array(koffi.view(address, size)).set(bytes);
    if (mprotect(address, size, readExecute) !== 0) throw new Error('mprotect refused to execute');
    const prototypes = [0, 1, 2, 3, 4, 5, 6].map((n) =>
      koffi.proto('int64_t', Array<string>(n).fill('int64_t')),
    );
    const call = (...args: (bigint | number)[]) =>
      BigInt(koffi.call(address, prototypes[args.length], ...args) as bigint | number);
    return Object.assign(call, { address });
  };
  const addressOf = (array: ArrayBufferView) => BigInt(koffi.address(array));
  const found = new Uint32Array(featureWords);
  const job = detectFeatures.packJob({ out: addressOf(found) });
  load(detectFeatures.assemble(abi))(addressOf(job));
  const features = readFeatures(found);
  // Linux gives a process the tile registers when it asks for them.
  const [archPrctl, requestPermission, tileData] = [158, 0x1023, 18];
  const permitted = Number(syscall(archPrctl, requestPermission, tileData, 0)) === 0;
  const usable = [...features].filter((f) => permitted || !f.startsWith('amx'));
  return { features: new Set(usable), addressOf, load };
}

/** Running emitted code, where this process can: Linux on x64 with koffi. */
export const native = await open();

/** Why a test with these features does not run here; undefined if it does. */
export function missing(features: readonly Feature[]): string | undefined {
  if (native === undefined) return 'this process cannot run emitted code';
  const lacking = features.filter((feature) => !native.features.has(feature));
  return lacking.length > 0 ? `the processor lacks ${lacking.join(', ')}` : undefined;
}

/** The machine, for tests that are only run where there is one. */
export function machine(): Native {
  if (native === undefined) throw new Error('this process cannot run emitted code');
  return native;
}

/** For `it.skipIf`: whether tests with these features cannot run, and what to add to their names. */
export function needing(features: readonly Feature[]): { skipped: boolean; note: string } {
  const reason = missing(features);
  return { skipped: reason !== undefined, note: reason ? ` (skipped: ${reason})` : '' };
}

/** Calls a kernel once with a job of such values. */
export function runKernel<J extends JobDeclaration>(kernel: Kernel<J>, values: JobValues<J>): void {
  const job = kernel.packJob(values);
  machine().load(kernel.assemble(abi))(machine().addressOf(job));
}
