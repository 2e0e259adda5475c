import { readFileSync } from 'node:fs';
import { BackendUnavailableError } from '@flash-mla/core';
import { CubinCache } from '../cache/cubin-cache.ts';
import { cacheSettings } from '../cache/settings.ts';
import type { CudaDriver } from '../driver/driver.ts';
import { versionText } from '../driver/version.ts';
import { LibcudaDriver } from './driver.ts';
import { loadKoffi } from './koffi.ts';
import type { NativeLibrary, NativeLoader } from './native.ts';
import { Scratch } from './scratch.ts';
import { type SearchEnvironment, searchPlaces } from './search.ts';
import { bindDriver } from './symbols.ts';

/** The oldest CUDA version whose driver has every function in use (`cuLaunchKernelEx`). */
export const leastVersion = 12_000;

const install = 'Install the NVIDIA driver, version 525 or newer; the CUDA toolkit is not needed.';
/** What koffi says before the system's own words. */
const koffiPrefix = /^Failed to load shared library: /;
const update = 'Update the NVIDIA driver to version 525 or newer.';

/**
 * Finds, loads and initialises libcuda. Every failure is a {@link BackendUnavailableError} that says
 * what was looked for, where, and what to do.
 */
export async function openLibcuda(
  environment: SearchEnvironment = { platform: process.platform, variables: process.env },
  native: () => Promise<NativeLoader> = loadKoffi,
): Promise<CudaDriver> {
  const places = searchPlaces(environment);
  if (places.length === 0) {
    throw unavailable(
      `there is no CUDA driver for ${environment.platform}`,
      [],
      'Use another backend: `flash-mla doctor` lists them.',
      undefined,
      true,
    );
  }
  let loader: NativeLoader;
  try {
    loader = await native();
  } catch (cause) {
    throw unavailable(
      'the package koffi, which calls the driver, does not load',
      [`package koffi: ${messageOf(cause)}`],
      'Install it: `npm install koffi` (it is an optional dependency of flash-mla).',
      cause,
    );
  }

  const looked: string[] = [];
  let library: NativeLibrary | undefined;
  for (const { path, origin } of places) {
    try {
      library = loader.open(path);
      looked.push(`${path} (${origin}): found`);
      break;
    } catch (cause) {
      looked.push(`${path} (${origin}): ${messageOf(cause).replace(koffiPrefix, '')}`);
    }
  }
  if (library === undefined) throw unavailable('no driver library was found', looked, install);

  const api = bindDriver(library);
  if ('missing' in api) {
    const version = askVersion(library);
    const supports = version > 0 ? ` (it supports CUDA ${versionText(version)})` : '';
    const lacking = (api.missing as string[]).join(', ');
    throw unavailable(`the driver library lacks ${lacking}${supports}`, looked, update);
  }
  const cache = new CubinCache(cacheSettings(environment));
  const driver = new LibcudaDriver(library, api, cache, readBuild());
  try {
    await driver.initialise();
  } catch (cause) {
    throw unavailable(messageOf(cause).replace(/\.$/, ''), looked, '', cause);
  }
  if (driver.version < leastVersion) {
    throw unavailable(
      `the driver supports CUDA ${versionText(driver.version)}, ${versionText(leastVersion)} is needed`,
      looked,
      update,
    );
  }
  return driver;
}

/** For messages: 0 where the library does not tell. */
function askVersion(library: NativeLibrary): number {
  const answer = new Scratch(library, 8);
  const code = library.bind('cuDriverGetVersion', ['u64'])?.(answer.address);
  return code === 0 ? answer.i32() : 0;
}

/** The driver's exact build, where the kernel module tells; part of the key of compiled kernels. */
function readBuild(): string {
  try {
    const text = readFileSync('/proc/driver/nvidia/version', 'utf8');
    return /\b\d{3}\.\d+(?:\.\d+)?\b/.exec(text)?.[0] ?? '';
  } catch {
    return '';
  }
}

function unavailable(
  reason: string,
  looked: readonly string[],
  remedy: string,
  cause?: unknown,
  lasting = false,
) {
  return new BackendUnavailableError('cuda', reason, looked, remedy, cause, lasting);
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
