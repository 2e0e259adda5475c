/**
 * Machine code for the processor at hand. Node on x86-64 only; everywhere else, and where anything is
 * missing, WebAssembly does the work.
 */

import { BackendUnavailableError } from '@flash-mla/core';
import { embeddedCode, type NativeCode } from './code.ts';
import { farPages } from './far-pages.ts';
import { findKoffi } from './find-koffi.ts';
import type { NativeFinding } from './finding.ts';
import type { NativeStart } from './functions.ts';
import { type KernelNames, kernelNames, namesOf } from './kernel-names.ts';
import { processorFeatures } from './processor.ts';
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
  pages: undefined,
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
  const code = await embeddedCode(system.abi);
  const features = processorFeatures(koffi, system, code('detect_features'));
  const failed = new Map<KernelKind, string>();
  for (const kind of nativeKinds) {
    if (forced !== undefined && kind !== forced) failed.set(kind, `${variable} is ${forced}`);
  }
  for (;;) {
    const selection = selectKernels({ name: processor, features }, failed);
    const { kind } = selection;
    if (kind === 'wasm') return { ...selection, start: undefined, pages: undefined };
    const names = kernelNames({ ...selection, kind });
    const refused = kind === 'amx' ? system.requestTiles() : undefined;
    const verdict = refused ?? (await verdictOnAll(names, code, [processor, path]));
    if (verdict === undefined) {
      const start = startOf(names, code, path, system);
      return { ...selection, start, pages: farPages(koffi, system) };
    }
    failed.set(kind, verdict);
  }
}

type CodeOf = (name: string) => NativeCode;

/** Each kernel in turn; the first that is wrong condemns all. */
async function verdictOnAll(
  names: KernelNames,
  code: CodeOf,
  [processor, koffi]: readonly [processor: string, koffi: string],
): Promise<Verdict> {
  for (const name of namesOf(names)) {
    const each = code(name);
    const facts = [each.bytes, processor, process.version, process.platform, koffi];
    const verdict = await verdictOn(facts, () => selfTest(each, koffi));
    if (verdict !== undefined) return verdict;
  }
  return undefined;
}

function startOf(
  names: KernelNames,
  code: CodeOf,
  koffi: string,
  system: NativeSystem,
): NativeStart {
  const { attend, dots, scaledDots, pack, dequantize, norm, copy, unpack, rows, products } = names;
  const place = (name: string) => system.place(code(name).bytes);
  return {
    koffi,
    attend: place(attend),
    dots: place(dots),
    scaledDots: place(scaledDots),
    pack: place(pack),
    dequantize: place(dequantize),
    norm: place(norm),
    copy: place(copy),
    unpack: unpack === undefined ? undefined : place(unpack),
    rows: rows && { address: place(rows.name), tokens: rows.tokens },
    products: products === undefined ? undefined : place(products),
  };
}
