import type { BackendUnavailableError as Unavailable } from '@flash-mla/core';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { RecordingBackend } from '../../ops/attention/api/testing/recording-backend.ts';
import type { BackendModule } from './registry.ts';

// Fresh modules for every test, because what could not be opened is remembered.
let errors: typeof import('@flash-mla/core');
let openDevice: typeof import('../../open-device.ts').openDevice;
let listDevices: typeof import('./open-device.ts').listDevices;

const unavailable = () =>
  new errors.BackendUnavailableError(
    'cuda',
    'no driver',
    ['libcuda.so.1: absent'],
    'Install a driver.',
  );

/** Backends of every kind: works, is absent, does not load, has a bug. */
const cpu = {
  probe: vi.fn(async () => [
    { name: 'first', details: { cores: 2 } },
    { name: 'second', details: {} },
  ]),
  open: vi.fn(async (index: number) => new RecordingBackend(`cpu:${index}`)),
};
const cuda = {
  probe: vi.fn(() => Promise.reject(unavailable())),
  open: vi.fn((): Promise<RecordingBackend> => Promise.reject(unavailable())),
};
const load = {
  cuda: vi.fn(async () => cuda),
  webgpu: vi.fn((): Promise<BackendModule> => Promise.reject(new SyntaxError('bad module'))),
  cpu: vi.fn(async () => cpu),
  sim: vi.fn(async () => ({ ...cpu, probe: () => Promise.reject(new TypeError('a bug')) })),
};

vi.mock('./registry.ts', () => ({ backendModules: load }));

beforeEach(async () => {
  vi.clearAllMocks();
  vi.resetModules();
  errors = await import('@flash-mla/core');
  const module = await import('./open-device.ts');
  openDevice = (spec, options) => module.openDeviceWith([], spec, options);
  ({ listDevices } = module);
});

describe('openDevice', () => {
  it("'auto' takes the first that opens and keeps why others did not", async () => {
    const device = await openDevice();
    expect(device.id).toBe('cpu:0');
    expect(device.skipped.map((error) => (error as Unavailable).backend)).toEqual([
      'cuda',
      'webgpu',
    ]);
    expect(load.sim).not.toHaveBeenCalled();
  });

  it('opens the device that is asked for and loads no other backend', async () => {
    expect((await openDevice('cpu:1')).id).toBe('cpu:1');
    expect(load.cuda).not.toHaveBeenCalled();
    expect(cpu.open).toHaveBeenCalledWith(1, expect.objectContaining({ debug: false }), false);
  });

  it('says why a device cannot be opened, and asks again, since that may have changed', async () => {
    const thrown = await openDevice('cuda').catch((error: unknown) => error);
    expect(thrown).toBeInstanceOf(errors.BackendUnavailableError);
    expect((thrown as Error).message).toBe(
      "backend 'cuda' is unavailable: no driver. Looked for: libcuda.so.1: absent. Install a driver.",
    );
    cuda.open.mockResolvedValueOnce(new RecordingBackend('cuda'));
    expect((await openDevice('cuda')).id).toBe('cuda');
    expect(load.cuda).toHaveBeenCalledTimes(1);
    const broken = await openDevice('webgpu').catch((error: unknown) => error);
    expect(broken).toBeInstanceOf(errors.BackendUnavailableError);
    expect((broken as Error).cause).toBeInstanceOf(SyntaxError);
    load.webgpu.mockResolvedValueOnce(cpu as BackendModule);
    expect((await openDevice('webgpu')).id).toBe('cpu:0');
  });

  it('does not advise to reinstall where a module only lacked a file descriptor', async () => {
    const cause = Object.assign(new Error('EMFILE: too many open files'), { code: 'EMFILE' });
    load.webgpu.mockRejectedValueOnce(cause);
    const error = await openDevice('webgpu').catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ lasting: false, cause });
    expect((error as Unavailable).remedy).toMatch(/ulimit -n/);
    expect((error as Unavailable).looked).toEqual([
      'module runtime/webgpu: EMFILE: too many open files',
    ]);
  });

  it('says what to do where a part of a backend lacked a file descriptor', async () => {
    const cause = Object.assign(new Error('EMFILE: too many open files'), { code: 'EMFILE' });
    cuda.open.mockRejectedValueOnce(cause);
    const error = await openDevice('cuda').catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(errors.BackendUnavailableError);
    expect(error).toMatchObject({ lasting: false, cause, looked: [cause.message] });
    expect((error as Unavailable).remedy).toMatch(/ulimit -n/);
  });

  it('remembers what cannot change while the process lives', async () => {
    const never = new errors.BackendUnavailableError('cuda', 'no', [], '', undefined, true);
    cuda.open.mockRejectedValueOnce(never);
    for (let i = 0; i < 2; i++) await expect(openDevice('cuda')).rejects.toBe(never);
    expect(cuda.open).toHaveBeenCalledTimes(1);
  });

  it("fails with every reason where 'auto' finds nothing", async () => {
    cpu.open.mockRejectedValueOnce(unavailable());
    const error = await openDevice('auto').catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ backend: 'auto' });
    expect((error as Unavailable).looked).toHaveLength(3);
  });

  it('does not hide a failure that is not about availability', async () => {
    cpu.open.mockRejectedValueOnce(new RangeError('a bug'));
    await expect(openDevice('auto')).rejects.toThrow(RangeError);
  });

  it.each([
    '',
    'gpu',
    'cpu:',
    'cpu:x',
    'cpu:-1',
    'constructor',
    'CPU',
    'cpu:1000',
    null,
    7,
    {},
    Symbol('cpu'),
  ])('refuses the spec %s', async (spec) => {
    const error = await openDevice(spec as never).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(errors.InvalidArgumentError);
    expect(error).toMatchObject({ argument: 'device' });
    expect((error as Error).message).toMatch(/one of auto, cuda, webgpu, cpu, sim/);
  });

  it.each([
    ['options', null],
    ['options', 'debug'],
    ['thread', { thread: 2 }],
    ['threads', { threads: 0 }],
    ['threads', { threads: 1.5 }],
    ['threads', { threads: 65 }],
    ['threads', { threads: '2' }],
    ['debug', { debug: 1 }],
  ])('refuses wrong %s: %j', async (argument, options) => {
    const error = await openDevice('cpu', options as never).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(errors.InvalidArgumentError);
    expect(error).toMatchObject({ argument });
    expect(load.cpu).not.toHaveBeenCalled();
  });

  it('takes debug from FLASH_MLA_DEBUG unless told', async () => {
    const opened = async (value: string, options?: { debug: boolean }) => {
      vi.stubEnv('FLASH_MLA_DEBUG', value);
      const { debug } = await openDevice('cpu', options);
      vi.unstubAllEnvs();
      return debug;
    };
    for (const off of ['', '0', 'false', 'FALSE', 'no', 'off', ' 0 ']) {
      expect([off, await opened(off)]).toEqual([off, false]);
    }
    for (const on of ['1', 'true', 'yes', 'on']) expect([on, await opened(on)]).toEqual([on, true]);
    expect(await opened('1', { debug: false })).toBe(false);
    expect(await opened('0', { debug: true })).toBe(true);
  });
});

describe('listDevices', () => {
  it('loads only the backends that are asked for, in that order', async () => {
    const devices = await listDevices(['cpu', 'cuda']);
    expect(devices.map(({ id }) => id)).toEqual(['cpu', 'cpu:1', 'cuda']);
    expect(load.sim).not.toHaveBeenCalled();
    expect(load.webgpu).not.toHaveBeenCalled();
    const strange = await listDevices(['tpu' as never]);
    expect(strange).toMatchObject([{ available: false, id: 'tpu' }]);
  });

  it('lists every device and every absence, and never throws', async () => {
    const devices = await listDevices();
    expect(devices.map(({ id, available }) => [id, available])).toEqual([
      ['cuda', false],
      ['webgpu', false],
      ['cpu', true],
      ['cpu:1', true],
      ['sim', false],
    ]);
    expect(devices.map((row) => (row.available ? row.name : row.error.message))).toEqual([
      expect.stringContaining('no driver'),
      expect.stringContaining('its module does not load'),
      'first',
      'second',
      expect.stringContaining('a bug'),
    ]);
  });
});
