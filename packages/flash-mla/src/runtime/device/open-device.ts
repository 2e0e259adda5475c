import {
  BackendUnavailableError,
  describeValue,
  FlashMlaError,
  InvalidArgumentError,
} from '@flash-mla/core';
import type { Backend } from './backend.ts';
import { Device, type DeviceOptions, type DeviceSpec } from './device.ts';
import { environmentFlag } from './environment.ts';
import type { KernelLibrary } from './kernel-library.ts';
import {
  type BackendModule,
  type BackendName,
  backendModules,
  type OpenOptions,
} from './registry.ts';
import { shortageOfModule } from './shortages.ts';

/** One line of {@link listDevices}: a device that can be opened, or a backend that cannot. */
export type DeviceListing =
  | {
      readonly available: true;
      /** What to pass to {@link openDevice}. */
      readonly id: string;
      readonly backend: BackendName;
      readonly name: string;
      readonly details: Readonly<Record<string, string | number | boolean>>;
    }
  | {
      readonly available: false;
      readonly id: string;
      readonly backend: BackendName;
      readonly error: BackendUnavailableError;
    };

const modules = new Map<BackendName, Promise<BackendModule>>();
/** Why a device could not be opened, where that stays so for this process. */
const failures = new Map<string, BackendUnavailableError>();

const notServed =
  'The server did not give this part of flash-mla: load the page again, since a newer release may have ' +
  'replaced it. docs/bundlers.md of flash-mla says more.';

function loadBackend(name: BackendName): Promise<BackendModule> {
  const loaded: Promise<BackendModule> =
    modules.get(name) ??
    backendModules[name]().catch((cause: unknown) => {
      modules.delete(name);
      const otherwise = globalThis.process === undefined ? notServed : 'Reinstall flash-mla.';
      throw new BackendUnavailableError(
        name,
        'its module does not load',
        [`module runtime/${name}: ${messageOf(cause)}`],
        shortageOfModule(cause) ?? otherwise,
        cause,
      );
    });
  modules.set(name, loaded);
  return loaded;
}

/**
 * Opens a device with the kernels of some libraries, preferred ones first; those of `options.kernels` come
 * before them. `'auto'` takes the first that opens and keeps why the others did not in
 * {@link Device.skipped}. Throws {@link InvalidArgumentError} for an unknown spec and
 * {@link BackendUnavailableError} when the device is not there.
 */
export async function openDeviceWith(
  libraries: readonly KernelLibrary[],
  spec: DeviceSpec | (string & {}) = 'auto',
  options: DeviceOptions = {},
): Promise<Device> {
  checkOpenOptions(options);
  const debug = options.debug ?? environmentFlag('FLASH_MLA_DEBUG');
  const kernels = [...(options.kernels ?? []), ...libraries];
  if (spec !== 'auto') {
    const { name, index } = parseSpec(spec);
    return new Device(await openBackend(name, index, { ...options, debug, kernels }), debug, []);
  }
  const skipped: Error[] = [];
  for (const name of automatic()) {
    try {
      const backend = await openBackend(name, 0, { ...options, debug, kernels }, true);
      return new Device(backend, debug, skipped);
    } catch (error) {
      if (!(error instanceof BackendUnavailableError)) throw error;
      skipped.push(error);
    }
  }
  throw new BackendUnavailableError(
    'auto',
    'no backend can be opened',
    skipped.map((error) => error.message),
    'Run `flash-mla doctor` for the remedies.',
  );
}

/**
 * Every device of some backends, and why an absent one is absent. Never throws.
 *
 * @param backends loads no others. Default: all.
 */
export async function listDevices(
  backends: readonly DeviceListing['backend'][] = Object.keys(backendModules) as BackendName[],
): Promise<DeviceListing[]> {
  const listings: DeviceListing[] = [];
  for (const backend of backends) {
    try {
      const devices = await (await loadBackend(backend)).probe();
      devices.forEach(({ name, details }, index) => {
        const id = index === 0 ? backend : `${backend}:${index}`;
        listings.push({ available: true, id, backend, name, details });
      });
    } catch (cause) {
      const error =
        cause instanceof BackendUnavailableError
          ? cause
          : new BackendUnavailableError(
              backend,
              messageOf(cause),
              [],
              // A typed error says itself what is wrong, e.g. with a variable of the environment.
              cause instanceof FlashMlaError
                ? ''
                : 'Please report this with the output of `flash-mla doctor --json`.',
              cause,
            );
      listings.push({ available: false, id: backend, backend, error });
    }
  }
  return listings;
}

async function openBackend(
  name: BackendName,
  index: number,
  options: OpenOptions,
  isAutomatic = false,
): Promise<Backend> {
  const key = `${name}:${index}${isAutomatic ? ' automatic' : ''}`;
  const failure = failures.get(key);
  if (failure) throw failure;
  try {
    return await (await loadBackend(name)).open(index, options, isAutomatic);
  } catch (error) {
    if (error instanceof BackendUnavailableError && error.lasting) failures.set(key, error);
    throw asShortage(name, error);
  }
}

/** A raw error of Node's that says what the process lacks becomes one with a remedy; others stay. */
function asShortage(name: BackendName, error: unknown): unknown {
  const remedy = error instanceof FlashMlaError ? undefined : shortageOfModule(error);
  if (remedy === undefined) return error;
  const looked = [messageOf(error)];
  return new BackendUnavailableError(name, 'the process lacks something', looked, remedy, error);
}

function parseSpec(spec: unknown): { name: BackendName; index: number } {
  const match = typeof spec === 'string' ? /^([a-z]+)(?::(\d{1,3}))?$/.exec(spec) : null;
  const name = match?.[1];
  if (name === undefined || !Object.hasOwn(backendModules, name)) {
    const known = ['auto', ...Object.keys(backendModules)].join(', ');
    throw new InvalidArgumentError('device', `one of ${known}, NAME:N`, describeValue(spec));
  }
  return { name: name as BackendName, index: Number(match?.[2] ?? 0) };
}

/** What each option must be. The type makes a new option of a backend appear here. */
const optionChecks: {
  readonly [K in keyof Required<DeviceOptions>]: readonly [
    expected: string,
    fits: (value: unknown) => boolean,
  ];
} = {
  threads: [
    'an integer from 1 to 64',
    (value) => Number.isInteger(value) && Number(value) >= 1 && Number(value) <= 64,
  ],
  debug: ['true or false', (value) => typeof value === 'boolean'],
  kernels: ['an array of kernel libraries', Array.isArray],
  webgpuProfile: ["'adapter' or 'default'", (value) => value === 'adapter' || value === 'default'],
};

function checkOpenOptions(options: unknown): void {
  if (typeof options !== 'object' || options === null) {
    throw new InvalidArgumentError('options', 'an object', describeValue(options));
  }
  for (const [name, value] of Object.entries(options)) {
    const known = Object.hasOwn(optionChecks, name);
    if (!known) {
      const names = Object.keys(optionChecks).join(', ');
      throw new InvalidArgumentError(name, `an option among ${names}`, 'another one');
    }
    const [expected, fits] = optionChecks[name as keyof typeof optionChecks];
    if (value !== undefined && !fits(value)) {
      throw new InvalidArgumentError(name, expected, describeValue(value));
    }
  }
}

/** The simulator answers only when asked for: it is for testing, not for speed. */
function automatic(): BackendName[] {
  return (Object.keys(backendModules) as BackendName[]).filter(
    (name) => (name as string) !== 'sim',
  );
}

/** Without its last full stop: more words follow. */
function messageOf(cause: unknown): string {
  return (cause instanceof Error ? cause.message : String(cause)).replace(/\.$/, '');
}
