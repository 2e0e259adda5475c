import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bundledCaseNames } from '../packages/flash-mla/src/ops/attention/case-files/bundled-cases.ts';
import { dawnPackage } from '../packages/flash-mla/src/runtime/platform/node.ts';
import {
  type PackedProject,
  packProject,
  publishedPackages,
  root,
} from './testing/packed-project.ts';

interface Manifest {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly peerDependenciesMeta?: Readonly<Record<string, { readonly optional: boolean }>>;
  readonly [field: string]: unknown;
}

// What `npm publish` would send, unpacked into a project of its own; what it depends on is linked.
describe('the published packages', () => {
  let project: PackedProject;
  const installed = (name = 'flash-mla') => join(project.folder, 'node_modules', name);
  const node = (...args: string[]) => project.node(...args);
  const filesOf = (folder: string) =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) =>
      statSync(join(folder, path)).isFile(),
    );
  const manifestIn = (folder: string): Manifest =>
    JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));

  beforeAll(async () => {
    project = await packProject();
  }, 60_000);

  afterAll(() => project.remove());

  it('hold what runs and what types it, nothing else', () => {
    const paths = readdirSync(installed(), { recursive: true, encoding: 'utf8' });
    expect(paths).toContain(join('dist', 'chunks', 'core.js'));
    const odd = paths.filter((path) =>
      /(^|[\\/])(src|out|testing|node_modules)([\\/]|$)|\.test\.|\.tsbuildinfo$/.test(path),
    );
    expect(odd).toEqual([]);
  });

  it('knows the build of its kernels, under which compiled ones are kept', () => {
    const dist = join(installed(), 'dist');
    const code = filesOf(dist)
      .filter((path) => path.endsWith('.js'))
      .map((path) => readFileSync(join(dist, path), 'utf8'));
    const marks = code.flatMap((text) => text.match(/@(un)?built(id)?:[0-9a-f]+@/g) ?? []);
    expect(marks).toEqual([expect.stringMatching(/^@builtid:[0-9a-f]{32}@$/)]);
  });

  it.each(Object.keys(publishedPackages))('%s: says what it is, under which licence', (name) => {
    const folder = installed(name);
    expect(readFileSync(join(folder, 'LICENSE'), 'utf8')).toBe(
      readFileSync(join(root, 'LICENSE'), 'utf8'),
    );
    expect(readFileSync(join(folder, 'README.md'), 'utf8')).toMatch(new RegExp(`^# ${name}\n`));
    const { description, keywords, license } = manifestIn(folder);
    expect(description).toMatch(/\w+/);
    expect((keywords as string[]).length).toBeGreaterThan(3);
    expect(license).toBe('MIT');
  });

  it.each(Object.keys(publishedPackages))('%s: points to nothing that it does not hold', (name) => {
    const folder = installed(name);
    const dangling: string[] = [];
    for (const path of filesOf(folder)) {
      const file = join(folder, path);
      if (path.endsWith('.map')) dangling.push(path);
      if (/\.[jt]s$/.test(path) && /sourceMappingURL=/.test(readFileSync(file, 'utf8'))) {
        dangling.push(`${path}: a source map`);
      }
      if (!path.endsWith('.md')) continue;
      for (const [, target = ''] of readFileSync(file, 'utf8').matchAll(
        /\]\((?!https?:|#)([^)#\s]+)/g,
      )) {
        if (!existsSync(join(dirname(file), target))) dangling.push(`${path}: ${target}`);
      }
    }
    expect(dangling).toEqual([]);
  });

  it('install less than 25 MB, the optional koffi included, but not the optional server', () => {
    // As npm resolves it: dependencies and optional ones that are here, but no optional peer.
    const sizes = new Map<string, number>();
    const requiredPeers = new Set<string>();
    const visit = (name: string) => {
      if (sizes.has(name)) return;
      const packed = installed(name);
      const folder = existsSync(packed) ? packed : join(root, 'node_modules', name);
      if (!existsSync(folder)) return;
      const bytes = filesOf(folder).reduce(
        (sum, path) => sum + statSync(join(folder, path)).size,
        0,
      );
      sizes.set(name, bytes);
      const { dependencies, optionalDependencies, peerDependencies, peerDependenciesMeta } =
        manifestIn(folder);
      for (const peer of Object.keys(peerDependencies ?? {})) {
        if (peerDependenciesMeta?.[peer]?.optional !== true) requiredPeers.add(peer);
      }
      Object.keys({ ...dependencies, ...optionalDependencies }).forEach(visit);
    };
    visit('flash-mla');
    // A peer that has to be there comes as somebody's dependency.
    expect([...requiredPeers].filter((peer) => !sizes.has(peer))).toEqual([]);
    const total = [...sizes.values()].reduce((sum, bytes) => sum + bytes, 0);
    console.log(
      [...sizes].map(([name, bytes]) => `${name} ${(bytes / 1e6).toFixed(1)} MB`).join(', '),
    );
    expect([...sizes.keys()]).toEqual(
      expect.arrayContaining([
        'koffi',
        ...Object.keys(publishedPackages).filter((name) => name !== '@flash-mla/server'),
      ]),
    );
    expect([...sizes.keys()]).not.toContain('webgpu');
    expect([...sizes.keys()]).not.toContain('@flash-mla/server');
    expect(total).toBeLessThan(25e6);
    expect(sizes.get('flash-mla')).toBeLessThan(7e6);
  });

  it('say in the remedy which version of Dawn is tested', () => {
    const tested = manifestIn(root) as { devDependencies: Record<string, string> };
    const { webgpu } = tested.devDependencies;
    expect(dawnPackage).toBe(`webgpu@${webgpu}`);
    expect(manifestIn(installed()).peerDependencies).toMatchObject({ webgpu: `^${webgpu}` });
  });

  it('run the demo', async () => {
    const command = join(installed(), 'bin', 'flash-mla.js');
    const output = await node(command, 'demo', '--device', 'cpu', '--json');
    const { pass, cases } = JSON.parse(output) as { pass: boolean; cases: { name: string }[] };
    expect(pass).toBe(true);
    expect(cases.map(({ name }) => name)).toEqual(bundledCaseNames);
  });

  it('run the self-test on the processor, its threads included', async () => {
    const command = join(installed(), 'bin', 'flash-mla.js');
    const output = await node(
      command,
      'selftest',
      '--device',
      'cpu',
      '--filter',
      'quantize',
      '--json',
    );
    const { totals } = JSON.parse(output) as { totals: { passed: number; failed: number } };
    expect(totals.failed).toBe(0);
    expect(totals.passed).toBeGreaterThan(0);
  });

  it('run kernels in the simulator and read case files', async () => {
    const command = join(installed(), 'bin', 'flash-mla.js');
    const output = await node(
      command,
      'selftest',
      '--device',
      'sim',
      '--filter',
      'schedule',
      '--json',
    );
    expect(JSON.parse(output)).toMatchObject({ totals: { failed: 0 } });
    const script = `
      import { openDevice } from 'flash-mla';
      import * as cases from 'flash-mla/cases';
      import * as reference from 'flash-mla/reference';
      const device = await openDevice('cpu', { threads: 2 });
      console.log(device.id, Object.keys(cases).length > 5, Object.keys(reference).length > 5);
      await device.dispose();`;
    expect((await node('--input-type=module', '-e', script)).trim()).toBe('cpu true true');
  });

  it('type-check where they are used', async () => {
    const code = `
      import { openDevice, type Tensor } from 'flash-mla';
      export { loadCase } from 'flash-mla/cases';
      export { denseDecode } from 'flash-mla/reference';
      const device = await openDevice('cpu');
      const tensor: Tensor<'f32'> = device.tensor([1], [1], 'f32');
      // @ts-expect-error: its elements are numbers
      const wrong: string = await tensor.read();
      export { wrong };`;
    writeFileSync(join(project.folder, 'use.ts'), code);
    const options = ['--noEmit', '--strict', '--module', 'nodenext'];
    const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
    const types = ['--target', 'es2022', '--lib', 'es2022,esnext.disposable,dom', '--types', ''];
    expect(await node(compiler, ...options, ...types, 'use.ts')).toBe('');
  });
});
