import { BackendUnavailableError } from '@flash-mla/core';
import { describe, expect, it } from 'vitest';
import { machineFacts, nodeEngines } from '../machine.ts';
import { colorsFor } from '../terminal/colors.ts';
import { runCli } from '../testing/run-cli.ts';
import { inspectMaca, isRelevant } from './maca.ts';
import { unsupportedNode } from './node-version.ts';
import { doctorText, type Findings } from './report.ts';
import { setVariables } from './variables.ts';

describe('unsupportedNode', () => {
  it('compares versions by their numbers with what package.json asks for', () => {
    const is = (found: string) => unsupportedNode(found, '>=20.20.0') !== undefined;
    expect(['18.20.8', '20.9.0', '20.19.6'].map(is)).toEqual([true, true, true]);
    expect(['20.20.0', '20.20.2', '22.0.0', '24.1.0-nightly'].map(is)).toEqual(
      Array(4).fill(false),
    );
    expect(unsupportedNode('18.20.8', nodeEngines())).toEqual({
      found: '18.20.8',
      required: '20.20.0',
      remedy: 'Install Node 20.20.0 or later.',
    });
  });
});

describe('setVariables', () => {
  it('names what is set, what it means, and what means nothing', () => {
    const variables = setVariables({
      FLASH_MLA_WEBGPU_PROFILE: 'garbage',
      FLASH_MLA_DEBUG: 'false',
      FLASH_MLA_CACHE_DIR: '',
      FLASH_MLA_CACHDIR: '/x',
      PATH: '/bin',
    });
    expect(variables.map(({ name, valid }) => [name, valid])).toEqual([
      ['FLASH_MLA_CACHDIR', false],
      ['FLASH_MLA_DEBUG', true],
      ['FLASH_MLA_WEBGPU_PROFILE', false],
    ]);
    expect(variables[2]?.meaning).toBe('expected adapter or default');
  });
});

describe('doctor', () => {
  const findings: Findings = {
    machine: machineFacts(),
    unsupported: undefined,
    devices: [],
    variables: [],
    maca: undefined,
  };
  const style = { colors: colorsFor(false, {}), width: 60 };

  it('says that Node is too old', () => {
    const unsupported = unsupportedNode('18.0.0', '>=20.20.0');
    const text = doctorText({ ...findings, unsupported }, style);
    expect(text).toMatch(/node {4}✗ [\d.]+ .*\n +flash-mla needs Node 20\.20\.0 or later\.\n/);
    expect(text).toMatch(/remedy: Install Node 20\.20\.0 or later\.\n/);
  });

  it('fits its lines to the terminal and spells out what would act on it', () => {
    const error = new BackendUnavailableError(
      'cuda',
      'none',
      ['\x1b[2J'.repeat(9)],
      'Do so. '.repeat(20),
    );
    const device = { available: false, id: 'cuda', backend: 'cuda', error } as const;
    const text = doctorText({ ...findings, devices: [device] }, style);
    expect(text).toContain('\\x1b[2J');
    expect(text).not.toContain('\x1b');
    const lines = text.slice(text.indexOf('remedy')).split('\n');
    expect(lines.length).toBeGreaterThan(3);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(60);
  });

  it('speaks of MACA only where there is a trace of it', async () => {
    const nowhere = { env: {}, defaultRoot: '/no/such', deviceNode: '/no/such' };
    expect(isRelevant(inspectMaca(nowhere))).toBe(false);
    expect(isRelevant(inspectMaca({ ...nowhere, deviceNode: '/' }))).toBe(true);
    expect(isRelevant(inspectMaca({ ...nowhere, env: { MACA_PATH: '/no/such' } }))).toBe(true);
    const env = { MACA_PATH: '/no/such', FLASH_MLA_DEBUG: 'false' };
    const { stdout } = await runCli(['doctor'], { env });
    expect(stdout).toMatch(/· maca {2}no MetaX MACA, the software of MetaX GPUs\n/);
    expect(stdout).toMatch(/environment\n {2}· FLASH_MLA_DEBUG=false: /);
  });
});
