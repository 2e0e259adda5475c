import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));

// What `npm publish` would send, unpacked into a project of its own; what it depends on is linked.
describe('the published packages', () => {
  const project = mkdtempSync(join(tmpdir(), 'flash-mla-package-'));
  const modules = join(project, 'node_modules');
  const installed = join(modules, 'flash-mla');

  beforeAll(() => {
    for (const [name, folder] of [
      ['flash-mla', 'packages/flash-mla'],
      ['@flash-mla/ptx', 'packages/ptx'],
    ] as const) {
      const args = ['pack', '--silent', '--pack-destination', project];
      const options = { cwd: join(root, folder), shell: process.platform === 'win32' } as const;
      const archive = execFileSync('npm', args, { ...options, encoding: 'utf8' }).trim();
      const target = join(modules, name);
      mkdirSync(target, { recursive: true });
      execFileSync('tar', ['-xzf', join(project, archive), '-C', target, '--strip-components=1']);
    }
    for (const name of ['commander', 'picocolors', 'koffi']) {
      symlinkSync(join(root, 'node_modules', name), join(modules, name), 'junction');
    }
    writeFileSync(join(project, 'package.json'), '{ "type": "module" }');
  });

  afterAll(() => rmSync(project, { recursive: true, force: true }));

  const node = (...args: string[]) =>
    execFileSync(process.execPath, args, { cwd: project, encoding: 'utf8' });

  it('hold what runs and what types it, nothing else', () => {
    const paths = readdirSync(installed, { recursive: true }).map(String);
    expect(paths).toContain(join('dist', 'chunks', 'core.js'));
    const odd = paths.filter((path) =>
      /(^|[\\/])(src|out|testing|node_modules)([\\/]|$)|\.test\.|\.tsbuildinfo$/.test(path),
    );
    expect(odd).toEqual([]);
  });

  it('run the self-test on the processor, its threads included', () => {
    const command = join(installed, 'bin', 'flash-mla.js');
    const output = node(command, 'selftest', '--device', 'cpu', '--filter', 'quantize', '--json');
    const { totals } = JSON.parse(output) as { totals: { passed: number; failed: number } };
    expect(totals.failed).toBe(0);
    expect(totals.passed).toBeGreaterThan(0);
  });

  it('run kernels in the simulator and read case files', () => {
    const command = join(installed, 'bin', 'flash-mla.js');
    const output = node(command, 'selftest', '--device', 'sim', '--filter', 'schedule', '--json');
    expect(JSON.parse(output)).toMatchObject({ totals: { failed: 0 } });
    const script = `
      import { openDevice } from 'flash-mla';
      import * as cases from 'flash-mla/cases';
      import * as reference from 'flash-mla/reference';
      const device = await openDevice('cpu', { threads: 2 });
      console.log(device.id, Object.keys(cases).length > 5, Object.keys(reference).length > 5);
      await device.dispose();`;
    expect(node('--input-type=module', '-e', script).trim()).toBe('cpu true true');
  });

  it('type-check where they are used', () => {
    const code = `
      import { openDevice, type Tensor } from 'flash-mla';
      const device = await openDevice('cpu');
      const tensor: Tensor<'f32'> = device.tensor([1], [1], 'f32');
      // @ts-expect-error: its elements are numbers
      const wrong: string = await tensor.read();
      export { wrong };`;
    writeFileSync(join(project, 'use.ts'), code);
    const options = ['--noEmit', '--strict', '--skipLibCheck', '--module', 'nodenext'];
    const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
    const types = ['--target', 'es2022', '--lib', 'es2023,esnext.disposable,dom', '--types', ''];
    expect(node(compiler, ...options, ...types, 'use.ts')).toBe('');
  });
});
