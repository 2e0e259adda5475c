import { readdirSync, readFileSync } from 'node:fs';
import { join, posix, relative, sep } from 'node:path';
import { root } from './packed-project.ts';

/** How a module names another. */
export interface Import {
  readonly specifier: string;
  /** `type` leaves nothing in the compiled module; `dynamic` loads when the program comes to it. */
  readonly kind: 'run-time' | 'dynamic' | 'type';
}

/** An import of a file of this repository by another, as paths from the root. */
export interface Edge {
  readonly from: string;
  /** A path, or the bare name of a package that is not of this repository. */
  readonly to: string;
  readonly kind: Import['kind'];
}

/**
 * The imports of a module as the formatter leaves it: statements begin at the start of a line. Under
 * `verbatimModuleSyntax` only `import type` and `export type` vanish; `import { type A }` loads the module.
 */
export function importsOf(code: string): Import[] {
  const text = code.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|[^:'"])\/\/.*$/gm, '$1');
  const found: Import[] = [];
  const statement = /^(?:import|export)\s+(type\s+)?(?:[^'";]*?\bfrom\s+)?['"]([^'"]+)['"]/gm;
  for (const [, type, specifier = ''] of text.matchAll(statement)) {
    found.push({ specifier, kind: type === undefined ? 'run-time' : 'type' });
  }
  for (const [, type, specifier = ''] of text.matchAll(
    /(\btypeof\s+)?\bimport\(\s*['"]([^'"]+)['"]/g,
  )) {
    found.push({ specifier, kind: type === undefined ? 'dynamic' : 'type' });
  }
  return found;
}

interface Manifest {
  readonly name: string;
  readonly imports?: Readonly<Record<string, unknown>>;
  readonly exports?: Readonly<Record<string, unknown>>;
}

/** Modules of the packages and the playground, without tests and what only tests use. */
export function modules(): string[] {
  const folders = [...children('packages'), ...children('apps')].map((name) => `${name}/src`);
  return folders.flatMap((folder) => files(folder)).filter((path) => !isTest(path));
}

/** Whether a file is a test or serves tests alone: those may look anywhere. */
export function isTest(path: string): boolean {
  return /\.test\.tsx?$|\/testing\//.test(path);
}

/** Every import of {@link modules}. A `#name` leads to each of its sides. */
export function edges(): Edge[] {
  const manifests = new Map(
    [...children('packages'), ...children('apps')].map((folder): [string, Manifest] => [
      folder,
      JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8')),
    ]),
  );
  const folderOf = new Map([...manifests].map(([folder, { name }]) => [name, folder]));
  return modules().flatMap((from) =>
    importsOf(readFileSync(join(root, from), 'utf8')).flatMap(({ specifier, kind }) =>
      targets(from, specifier, manifests, folderOf).map((to) => ({ from, to, kind })),
    ),
  );
}

/** Where the kernels in AssemblyScript are. */
export const assembly = 'packages/flash-mla/assembly';

/**
 * Every import among the kernels in AssemblyScript, whose specifiers have no extension. What the build generates
 * is there after it only.
 */
export function assemblyEdges(): Edge[] {
  return files(assembly).flatMap((from) =>
    importsOf(readFileSync(join(root, from), 'utf8')).map(({ specifier, kind }) => {
      return { from, to: `${posix.join(posix.dirname(from), specifier)}.ts`, kind };
    }),
  );
}

function targets(
  from: string,
  specifier: string,
  manifests: ReadonlyMap<string, Manifest>,
  folderOf: ReadonlyMap<string, string>,
): string[] {
  if (specifier.startsWith('.')) return [posix.join(posix.dirname(from), specifier)];
  const own = from.split('/').slice(0, 2).join('/');
  if (specifier.startsWith('#')) {
    return sources(manifests.get(own)?.imports?.[specifier]).map((path) => posix.join(own, path));
  }
  const [, name = specifier, rest = ''] = /^(@[^/]+\/[^/]+|[^@/][^/]*)(.*)$/.exec(specifier) ?? [];
  const folder = folderOf.get(name);
  if (folder === undefined) return [name];
  const doors = sources(manifests.get(folder)?.exports?.[`.${rest}`]);
  return doors.length === 0 ? [folder] : doors.map((path) => posix.join(folder, path));
}

/** The TypeScript files of an entry of `exports` or `imports`. */
function sources(target: unknown): string[] {
  if (typeof target === 'string') return /\.tsx?$/.test(target) ? [target] : [];
  if (typeof target !== 'object' || target === null) return [];
  return Object.values(target)
    .flatMap(sources)
    .filter((path) => !path.endsWith('.d.ts'));
}

function children(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => `${folder}/${name}`);
}

function files(folder: string): string[] {
  try {
    return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && /\.tsx?$/.test(entry.name))
      .map((entry) => relative(root, join(entry.parentPath, entry.name)).split(sep).join('/'));
  } catch (error) {
    // A package may consist of data alone.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** Groups of modules that load one another in a circle. */
export function circles(edges: readonly Edge[]): string[][] {
  const next = new Map<string, string[]>();
  for (const { from, to, kind } of edges) {
    if (kind === 'run-time') next.set(from, [...(next.get(from) ?? []), to]);
  }
  // Tarjan's strongly connected components.
  const index = new Map<string, number>();
  const low = new Map<string, number>();
  const stack: string[] = [];
  const found: string[][] = [];
  const visit = (node: string) => {
    index.set(node, index.size);
    low.set(node, index.get(node) as number);
    stack.push(node);
    for (const other of next.get(node) ?? []) {
      if (!index.has(other)) visit(other);
      if (stack.includes(other)) {
        low.set(node, Math.min(low.get(node) as number, low.get(other) as number));
      }
    }
    if (low.get(node) !== index.get(node)) return;
    const group = stack.splice(stack.indexOf(node));
    if (group.length > 1 || next.get(node)?.includes(node)) found.push(group.sort());
  };
  for (const node of next.keys()) if (!index.has(node)) visit(node);
  return found;
}
