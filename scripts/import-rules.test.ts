// The layers of the repository, held by its imports. docs/architecture.md says what each room is for.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { benchOperations, operationTools } from '../packages/flash-mla/src/ops/operation-tools.ts';
import {
  assembly,
  assemblyEdges,
  circles,
  type Edge,
  edges,
  importsOf,
  modules,
} from './testing/import-graph.ts';
import { brokenRule, exceptions, roomOf, rooms } from './testing/import-rules.ts';
import { root } from './testing/packed-project.ts';

const all = edges();

const library = 'packages/flash-mla/src';
const edge = (from: string, to: string): Edge => ({
  from: from.startsWith('packages/') ? from : `${library}/${from}`,
  to: to.startsWith('packages/') || to === 'koffi' ? to : `${library}/${to}`,
  kind: 'run-time',
});

describe('imports', () => {
  it('go down only, and families of operations meet through their index', () => {
    const excepted = new Set(exceptions.map(({ from, to }) => `${from} → ${to}`));
    const broken = all.flatMap((each) => {
      const rule = brokenRule(each);
      const text = `${each.from} → ${each.to}`;
      return rule === undefined || excepted.has(text) ? [] : [`${text}: ${rule}`];
    });
    expect(broken).toEqual([]);
  });

  it('have no exception that is not needed any more', () => {
    const needed = new Set(
      all.filter((each) => brokenRule(each) !== undefined).map(({ from, to }) => `${from} → ${to}`),
    );
    const left = exceptions.map(({ from, to }) => `${from} → ${to}`);
    expect(left.filter((each) => !needed.has(each))).toEqual([]);
  });

  it('load no modules in circles', () => {
    expect(circles(all).map((group) => group.join(' ↔ '))).toEqual([]);
  });

  it('are all read: every module is in a room and what it names is there', () => {
    const files = modules();
    expect(files.length).toBeGreaterThan(700);
    expect(files.filter((path) => roomOf(path) === undefined)).toEqual([]);
    const known = new Set(files);
    // What the build makes, style sheets, and packages without code are no modules.
    const hasNoModules = /\/wasm\/|\.css$|^packages\/tales$/;
    const missing = all.filter(
      ({ to }) => /^(packages|apps)\//.test(to) && !known.has(to) && !hasNoModules.test(to),
    );
    expect(missing.map(({ from, to }) => `${from} → ${to}`)).toEqual([]);
    expect(new Set(all.map(({ from }) => roomOf(from)?.name))).toContain('runtime');
  });
});

describe('the kernels in AssemblyScript', () => {
  const ofKernels = assemblyEdges();

  it('import no modules in circles', () => {
    expect(circles(ofKernels).map((group) => group.join(' ↔ '))).toEqual([]);
  });

  it('import one another alone, and are all read', () => {
    const known = new Set(ofKernels.map(({ from }) => from));
    expect(known.size).toBeGreaterThan(40);
    expect(known).toContain(`${assembly}/ops/decode.ts`);
    const outside = ofKernels.filter(({ to }) => !to.startsWith(`${assembly}/`));
    expect(outside.map(({ from, to }) => `${from} → ${to}`)).toEqual([]);
  });

  it('have what the host writes from the build alone', () => {
    const generated = `${assembly}/generated/`;
    const written = ofKernels.filter(({ to }) => to.startsWith(generated));
    expect(written.map(({ from }) => from)).toContain(`${assembly}/ops/dense-decode.ts`);
    // The classes of commands stand on what all commands have, and nothing else.
    const back = ofKernels.filter(
      ({ from, to }) => from.startsWith(generated) && !to.startsWith(generated),
    );
    expect(new Set(back.map(({ to }) => to))).toEqual(new Set([`${assembly}/work.ts`]));
  });
});

/** Files of the runtime that name operations for now, with the reason. */
const namesOperations: Readonly<Record<string, string>> = {
  [`${library}/runtime/tensor/whole-blocks.ts`]:
    'a remedy names the public function to use instead',
};

describe('the library', () => {
  it('has the rooms that the rules know, and no others', () => {
    const entries = readdirSync(join(root, library), { withFileTypes: true });
    const folders = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
    expect(folders.sort()).toEqual(['command', 'models', 'ops', 'runtime']);
  });
});

describe('the runtime', () => {
  it('names no operation', () => {
    const names = modules()
      .filter((path) => path.startsWith(`${library}/ops/`) && /operations?\.ts$/.test(path))
      .flatMap((path) => [
        ...readFileSync(join(root, path), 'utf8').matchAll(
          /defineOperation<[^(]*>\(\{\s*name: '(\w+)'/g,
        ),
      ])
      .map(([, name = '']) => name);
    expect(names).toEqual(expect.arrayContaining(['denseDecode', 'quantizeKvCache', 'rmsNorm']));
    const naming = modules()
      .filter((path) => roomOf(path)?.name === 'runtime')
      .flatMap((path) => {
        const code = readFileSync(join(root, path), 'utf8').replace(
          /\/\*[\s\S]*?\*\/|\/\/.*$/gm,
          '',
        );
        return names
          .filter((name) => new RegExp(`\\b${name}\\b`).test(code))
          .map((name): [string, string] => [path, name]);
      });
    expect(naming.filter(([path]) => !(path in namesOperations)).map(String)).toEqual([]);
    const left = Object.keys(namesOperations).filter((path) => !naming.some(([at]) => at === path));
    expect(left).toEqual([]);
  });
});

describe('what serves every operation', () => {
  /** Names of operations that mean something else as well. */
  const words = ['metadata', 'embedding'];
  /** The demonstration is one of attention. */
  const demonstration = `${library}/command/demo/`;
  const folders = ['ops/conformance', 'ops/bench', 'ops/kernel-lib', 'command'];

  it('names no operation: what one needs is in its own folder', () => {
    const names = new Set([
      ...operationTools.flatMap(({ cases }) => cases.map(({ op }) => op)),
      ...Object.keys(benchOperations),
    ]);
    expect([...names]).toEqual(expect.arrayContaining(['dense-decode', 'append', 'rms-norm']));
    const naming = modules()
      .filter((path) => folders.some((folder) => path.startsWith(`${library}/${folder}/`)))
      .filter((path) => !path.startsWith(demonstration))
      .flatMap((path) => {
        const code = readFileSync(join(root, path), 'utf8');
        const literals = [...code.matchAll(/'([\w-]+)'/g)].map(([, text = '']) => text);
        return literals
          .filter((text) => names.has(text) && !words.includes(text))
          .map((text) => `${path}: '${text}'`);
      });
    expect(naming).toEqual([]);
  });
});

describe('the rules (the test is tested)', () => {
  it.each([
    ['runtime/cuda/open.ts', 'ops/attention/operations.ts', /runtime imports nothing of ops/],
    ['ops/attention/index.ts', 'command/errors.ts', /ops imports nothing of flash-mla/],
    ['packages/core/src/dtype.ts', 'runtime/tensor/view.ts', /no other room/],
    ['packages/engine/src/engine.ts', 'packages/server/src/index.ts', /engine imports nothing/],
    ['packages/safetensors/src/source.ts', 'runtime/tensor/view.ts', /only of core/],
    [
      'ops/norm/cuda/launch.ts',
      'ops/attention/cuda/schedule.ts',
      /kernels of norm import their own family/,
    ],
    ['ops/norm/cpu/kernels.ts', 'ops/kv-cache/index.ts', /kernels of norm import their own family/],
    ['ops/norm/rms-norm.ts', 'ops/attention/api/head-dims.ts', /meet through their index.ts/],
    ['ops/norm/tools.ts', 'ops/operation-tools.ts', /indexes over all families/],
    ['ops/conformance/inputs.ts', 'ops/attention/index.ts', /conformance names no operation/],
    ['ops/bench/lengths.ts', 'ops/norm/limits.ts', /bench names no operation/],
    ['ops/conformance/compare.ts', 'ops/reference.ts', /indexes over all families/],
    ['ops/kernel-lib/cuda/element.ts', 'ops/norm/index.ts', /kernel-lib knows no operation/],
    ['runtime/webgpu/open.ts', 'runtime/cuda/open.ts', /a device knows no other one/],
    ['runtime/cuda/open.ts', 'koffi', /open native libraries/],
  ])('%s may not import %s', (from, to, rule) => {
    expect(brokenRule(edge(from, to))).toMatch(rule);
  });

  it.each([
    ['command/main.ts', 'ops/attention/index.ts'],
    ['ops/attention/cuda/problems.ts', 'ops/kernel-lib/row-layout.ts'],
    ['ops/attention/api/sparse-decode.ts', 'ops/kv-cache/index.ts'],
    ['ops/norm/cases.ts', 'ops/conformance/tolerance.ts'],
    ['ops/kernel-libraries.ts', 'ops/norm/kernels.ts'],
    ['ops/conformance/suite/suite.ts', 'ops/operation-tools.ts'],
    ['runtime/sim/driver.ts', 'runtime/cuda/driver/driver.ts'],
    ['runtime/cuda/libcuda/koffi.ts', 'koffi'],
    ['packages/server/src/index.ts', 'packages/engine/src/index.ts'],
  ])('%s may import %s', (from, to) => {
    expect(brokenRule(edge(from, to))).toBeUndefined();
  });

  it('read every form of import', () => {
    const code = `
import 'a';
import type { B } from 'b';
import { type C } from 'c';
export * from 'd';
export type { E } from 'e';
import {
  f,
} from 'f';
const g = async () => (await import('g')).g;
let h: typeof import('h');
// import 'no'
/* import 'no' */
const text = "import 'no'";
`;
    expect(importsOf(code)).toEqual([
      { specifier: 'a', kind: 'run-time' },
      { specifier: 'b', kind: 'type' },
      { specifier: 'c', kind: 'run-time' },
      { specifier: 'd', kind: 'run-time' },
      { specifier: 'e', kind: 'type' },
      { specifier: 'f', kind: 'run-time' },
      { specifier: 'g', kind: 'dynamic' },
      { specifier: 'h', kind: 'type' },
    ]);
  });

  it('find circles, and only those of run time', () => {
    const run = (from: string, to: string): Edge => ({ from, to, kind: 'run-time' });
    expect(circles([run('a', 'b'), run('b', 'c'), run('c', 'a'), run('c', 'd')])).toEqual([
      ['a', 'b', 'c'],
    ]);
    expect(circles([run('a', 'b'), { from: 'b', to: 'a', kind: 'type' }])).toEqual([]);
    expect(circles([run('a', 'b'), { from: 'b', to: 'a', kind: 'dynamic' }])).toEqual([]);
  });

  it('begin at the ground: each room imports only rooms before it', () => {
    const names = rooms.map(({ name }) => name);
    for (const [i, { name, mayImport }] of rooms.entries()) {
      for (const other of mayImport) {
        // The engine and the models use the library by its public name.
        if (other === 'flash-mla') continue;
        expect(names.slice(0, i), `${name} → ${other}`).toContain(other);
      }
    }
  });
});
