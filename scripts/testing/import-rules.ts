import type { Edge } from './import-graph.ts';

/** A part of the repository with rules of its own. */
export interface Room {
  readonly name: string;
  /** Paths that begin like this are in it. */
  readonly folder: string;
  /** Rooms that it may import; itself always. */
  readonly mayImport: readonly string[];
}

const library = 'packages/flash-mla/src';

/** From the ground up: imports go down only. */
export const rooms: readonly Room[] = [
  { name: 'core', folder: 'packages/core', mayImport: [] },
  { name: 'ptx', folder: 'packages/ptx', mayImport: [] },
  { name: 'machine-code', folder: 'packages/machine-code', mayImport: [] },
  { name: 'tales', folder: 'packages/tales', mayImport: [] },
  { name: 'safetensors', folder: 'packages/safetensors', mayImport: ['core'] },
  // What the build makes of the AssemblyScript sources and of the worker's script.
  { name: 'wasm', folder: 'packages/flash-mla/wasm', mayImport: [] },
  {
    name: 'runtime',
    folder: `${library}/runtime`,
    mayImport: ['core', 'ptx', 'machine-code', 'safetensors', 'wasm'],
  },
  {
    name: 'ops',
    folder: `${library}/ops`,
    mayImport: ['core', 'ptx', 'machine-code', 'safetensors', 'runtime'],
  },
  {
    name: 'engine',
    folder: 'packages/engine',
    mayImport: ['core', 'safetensors', 'runtime', 'ops', 'flash-mla'],
  },
  {
    name: 'models',
    folder: 'packages/models',
    mayImport: ['core', 'safetensors', 'runtime', 'ops', 'flash-mla', 'engine', 'tales'],
  },
  {
    name: 'server',
    folder: 'packages/server',
    mayImport: ['core', 'engine', 'models', 'flash-mla', 'runtime'],
  },
  {
    name: 'flash-mla',
    folder: 'packages/flash-mla',
    mayImport: [
      ...['core', 'ptx', 'machine-code', 'safetensors', 'runtime', 'ops'],
      ...['engine', 'models', 'server'],
    ],
  },
  { name: 'playground', folder: 'apps/playground', mayImport: ['flash-mla', 'ops', 'tales'] },
];

/** The innermost room of a file; undefined for a package from elsewhere. */
export function roomOf(path: string): Room | undefined {
  const inside = rooms.filter(({ folder }) => path === folder || path.startsWith(`${folder}/`));
  return inside.sort((a, b) => b.folder.length - a.folder.length)[0];
}

/** Folders of `ops` that are no family of operations: what families share. */
const shared = ['kernel-lib', 'bench', 'conformance'];
const devices = ['cuda', 'sim', 'webgpu', 'cpu'];

/** The family and the device of a file of `ops`. */
function placeInOps(path: string): { family: string; device: string | undefined } | undefined {
  const rest = path.startsWith(`${library}/ops/`) ? path.slice(`${library}/ops/`.length) : '';
  const [family = '', device = ''] = rest.split('/');
  // A file of `ops` itself is an index over the families.
  if (!rest.includes('/')) return undefined;
  return { family, device: devices.includes(device) ? device : undefined };
}

const deviceOf = (path: string): string | undefined =>
  devices.find((device) => path.startsWith(`${library}/runtime/${device}/`));

/** What opens native libraries; nothing else may. */
export const nativeDoors: readonly string[] = [`${library}/runtime/cuda/libcuda/koffi.ts`];

/** A rule: what is wrong with an import, or undefined. */
type Rule = (edge: Edge) => string | undefined;

const layers: Rule = ({ from, to }) => {
  const [own, other] = [roomOf(from), roomOf(to)];
  if (!own || !other || own === other || own.mayImport.includes(other.name)) return undefined;
  return `${own.name} imports nothing of ${other.name}, only of ${own.mayImport.join(', ') || 'no other room'}`;
};

/** The index by which the suite and the command know the families. */
const registry = `${library}/ops/operation-tools.ts`;

/** A file of `ops` itself: an index over the families. */
const isIndexOverFamilies = (path: string): boolean =>
  path.startsWith(`${library}/ops/`) && placeInOps(path) === undefined;

const families: Rule = ({ from, to }) => {
  const [own, other] = [placeInOps(from), placeInOps(to)];
  if (own && isIndexOverFamilies(to) && !(own.family === 'conformance' && to === registry)) {
    return 'the indexes over all families are for what uses them: the devices, the suite, the command';
  }
  if (!own || !other || own.family === other.family) return undefined;
  if (own.family === 'kernel-lib') return 'kernel-lib knows no operation';
  if (['conformance', 'bench'].includes(own.family)) {
    return ['conformance', 'bench'].includes(other.family)
      ? undefined
      : `${own.family} names no operation: it knows them from operation-tools.ts`;
  }
  if (own.device !== undefined && other.family !== 'kernel-lib') {
    return `kernels of ${own.family} import their own family, kernel-lib and runtime only`;
  }
  if (shared.includes(other.family) || to.endsWith('/index.ts')) return undefined;
  return `families meet through their index.ts: ${own.family} reaches into ${other.family}`;
};

const oneDevice: Rule = ({ from, to }) => {
  const [own, other] = [deviceOf(from), deviceOf(to)];
  if (!own || !other || own === other || (own === 'sim' && other === 'cuda')) return undefined;
  return `a device knows no other one (the simulator stands on cuda alone): ${own} imports ${other}`;
};

const native: Rule = ({ from, to }) =>
  to === 'koffi' && !nativeDoors.includes(from)
    ? `only ${nativeDoors.join(', ')} open native libraries`
    : undefined;

const rules: readonly Rule[] = [layers, families, oneDevice, native];

/** What is wrong with an import, in the words of the rule that it breaks. */
export function brokenRule(edge: Edge): string | undefined {
  for (const rule of rules) {
    const broken = rule(edge);
    if (broken !== undefined) return broken;
  }
  return undefined;
}

/** An import that breaks a rule and stays for now. */
export interface Exception {
  readonly from: string;
  readonly to: string;
  readonly reason: string;
}

/** May only become shorter: the test fails for an entry that is not needed. */
export const exceptions: readonly Exception[] = [];
