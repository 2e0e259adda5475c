/**
 * Machine code for the processor at hand. Node on x86-64 only; everywhere else, and where anything is
 * missing, WebAssembly does the work.
 */

import { BackendUnavailableError } from '@flash-mla/core';
import { findKoffi } from './find-koffi.ts';
import type { NativeFinding } from './finding.ts';
import type { NativeStart } from './functions.ts';
import { processorFeatures } from './processor.ts';
import { type NativePrograms, programsOf } from './programs.ts';
import { requireKoffi } from './require-koffi.ts';
import { type KernelKind, kernelKinds, nativeKinds, selectKernels } from './selection.ts';
import { selfTest } from './self-test/self-test.ts';
import { type Verdict, verdictOn } from './self-test/verdicts.ts';
import { type NativeSystem, nativeSystem } from './system.ts';

const variable = 'FLASH_MLA_CPU';

const findings = new Map<KernelKind | undefined, Promise<NativeFinding>>();

/**
 * The kernels to use: the best that work here, or those that `FLASH_MLA_CPU` names. Looks once in the life
 * of a process.
 * @param processor the processor's name: a verdict on code holds for it alone.
 * @throws BackendUnavailableError where the variable names kernels that there are not, or not here.
 */
export async function findNative(processor: string): Promise<NativeFinding> {
  const forced = forcedKind(process.env[variable]);
  const known = findings.get(forced) ?? find(processor, forced);
  findings.set(forced, known);
  const found = await known;
  if (forced === undefined || found.kind === forced) return found;
  throw new BackendUnavailableError(
    'cpu',
    `${variable} asks for ${forced} kernels, which do not run here`,
    found.passedOver.map(({ kind, reason }) => `${kind}: ${reason}`),
    `Unset ${variable}, or choose ${found.kind}.`,
  );
}

function forcedKind(value: string | undefined): KernelKind | undefined {
  const name = value?.trim().toLowerCase() ?? '';
  if (name === '') return undefined;
  const kind = kernelKinds.find((each) => each === name);
  if (kind) return kind;
  throw new BackendUnavailableError(
    'cpu',
    `${variable} is '${value}'`,
    kernelKinds.map((each) => `${each}: it is not that`),
    `Set ${variable} to one of ${kernelKinds.join(', ')}, or unset it.`,
  );
}

async function find(processor: string, forced: KernelKind | undefined): Promise<NativeFinding> {
  if (forced === 'wasm') return without();
  try {
    return await findKernels(processor, forced);
  } catch (error) {
    // Whatever it is that this process may not do: WebAssembly needs none of it.
    return without(error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error));
  }
}

/** WebAssembly, and for what reason. */
const without = (reason?: string): NativeFinding => ({
  kind: 'wasm',
  bf16Products: false,
  passedOver: reason === undefined ? [] : nativeKinds.map((kind) => ({ kind, reason })),
  start: undefined,
});

async function findKernels(
  processor: string,
  forced: KernelKind | undefined,
): Promise<NativeFinding> {
  if (process.arch !== 'x64') return without(`there are no kernels for ${process.arch}`);
  const path = findKoffi();
  const koffi = requireKoffi(path);
  const system = nativeSystem(koffi, process.platform);
  if (system === undefined) return without(`no way to run code is known on ${process.platform}`);
  const facts = { name: processor, features: processorFeatures(koffi, system) };
  const failed = new Map<KernelKind, string>();
  for (const kind of nativeKinds) {
    if (forced !== undefined && kind !== forced) failed.set(kind, `${variable} is ${forced}`);
  }
  for (;;) {
    const selection = selectKernels(facts, failed);
    const { kind } = selection;
    const refused = kind === 'amx' ? system.requestTiles() : undefined;
    if (refused !== undefined) {
      failed.set(kind, refused);
      continue;
    }
    if (kind === 'wasm') return { ...selection, start: undefined };
    const programs = programsOf({ ...selection, kind }, system.abi);
    const verdict = await verdictOnAll(programs, processor, path);
    if (verdict === undefined) {
      return { ...selection, start: startOf(programs, path, system) };
    }
    failed.set(kind, verdict);
  }
}

/** Each kernel in turn; the first that is wrong condemns all. */
async function verdictOnAll(
  { attend, dots, rows }: NativePrograms,
  processor: string,
  koffi: string,
): Promise<Verdict> {
  for (const each of rows ? [attend, dots, rows] : [attend, dots]) {
    const facts = [each.program.bytes, processor, process.version, process.platform, koffi];
    const verdict = await verdictOn(facts, () => selfTest(each, koffi));
    if (verdict !== undefined) return verdict;
  }
  return undefined;
}

function startOf({ attend, dots, rows }: NativePrograms, koffi: string, system: NativeSystem) {
  const start: NativeStart = {
    koffi,
    attend: system.place(attend.program.bytes),
    dots: system.place(dots.program.bytes),
    rows: rows && { address: system.place(rows.program.bytes), tokens: rows.tokens },
  };
  return start;
}
