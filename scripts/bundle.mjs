// Joins the modules of a built package into few files: a module of its own costs Node about half a
// millisecond to load, and `flash-mla` has hundreds.
//
// Every module of `flash-mla` keeps its file, path and exports, but for most of them it only hands on
// what lives in a chunk. Modules that are always loaded together share a chunk, so nothing loads earlier than its
// own import says: what is a dynamic import stays one.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rollup } from 'rollup';

/** Where chunks go below `dist`. */
const chunkFolder = 'chunks';
/** The script of a worker thread, which stands alone: one file, which can also be carried as text. */
const workerScript = 'runtime/cpu/worker.js';
/** Scripts that are carried as text, by the module in `wasm` that holds the text. */
const scripts = {
  'cpu-worker.js': workerScript,
  'native-self-test.js': 'runtime/cpu/native/self-test/child.js',
};
const mapComment = /\n\/\/# sourceMappingURL=.*\s*$/;

/**
 * Bundles `out/**.js`, as the compiler leaves it, into `dist`. With `doorsOnly`, only the modules that
 * `exports` and `imports` of the package name have a file of their own.
 */
export async function bundle(packageRoot, { doorsOnly = false } = {}) {
  const out = join(packageRoot, 'out');
  const modules = doorsOnly
    ? publicDoors(packageRoot)
    : modulesOf(packageRoot, out).map((path) => join(out, path));
  const nameOf = (path) => relative(out, path).replace(/\.js$/, '');
  const build = await rollup({
    input: Object.fromEntries(modules.map((path) => [nameOf(path), path])),
    // What the build makes beside `dist` is there only later.
    external: (id) =>
      /\/wasm\/[\w-]+\.js$/.test(id) || (!id.startsWith('.') && !id.startsWith(out)),
    preserveEntrySignatures: 'strict',
    ...common,
  });
  const { output } = await build.write({
    dir: join(packageRoot, 'dist'),
    format: 'es',
    // Maps are for this repository. The package has none, so no file may point to one.
    sourcemap: 'hidden',
    entryFileNames: '[name].js',
    chunkFileNames: `${chunkFolder}/[name].js`,
    hoistTransitiveImports: false,
    onlyExplicitManualChunks: !doorsOnly,
    ...(!doorsOnly && { manualChunks: chunksOf(out, publicDoors(packageRoot)) }),
  });
  await build.close();
  stampBuild(join(packageRoot, 'dist'), output);
  const texts = [];
  for (const [name, script] of Object.entries(scripts)) {
    if (!existsSync(join(out, script))) continue;
    texts.push(...(await bundleScript(packageRoot, out, script, name)));
  }
  removeOthers(packageRoot, [...output, ...texts]);
}

/**
 * Puts a hash of what has been built, and of the emitter, where `build-id.ts` has a place for it: what is compiled
 * from kernels is kept on disk under it. The place is as long as the hash, so that source maps stay right.
 */
function stampBuild(dist, output) {
  const place = /@unbuilt:[0-9a-f]{32}@/;
  const target = output.find(({ code }) => place.test(code ?? ''));
  if (target === undefined) return;
  const hash = createHash('sha256');
  const emitter = dirname(fileURLToPath(import.meta.resolve('@flash-mla/ptx')));
  for (const path of files(emitter)
    .filter((each) => each.endsWith('.js'))
    .sort()) {
    hash.update(path).update(readFileSync(join(emitter, path)));
  }
  for (const { fileName, code } of [...output].sort((a, b) => (a.fileName < b.fileName ? -1 : 1))) {
    if (code !== undefined) hash.update(fileName).update(code);
  }
  const stamp = `@builtid:${hash.digest('hex').slice(0, 32)}@`;
  writeFileSync(join(dist, target.fileName), target.code.replace(place, stamp));
}

/** Writes a script as a module that holds it as text; that of the workers also as a file, for pages. */
async function bundleScript(packageRoot, out, script, name) {
  const build = await rollup({
    input: join(out, script),
    ...common,
    plugins: [workspacePackages, ...common.plugins],
    treeshake: true,
  });
  const options = { format: 'iife', sourcemap: 'hidden' };
  const isFile = script === workerScript;
  const { output } = isFile
    ? await build.write({ file: join(packageRoot, 'dist', script), ...options })
    : await build.generate(options);
  await build.close();
  mkdirSync(join(packageRoot, 'wasm'), { recursive: true });
  writeFileSync(
    join(packageRoot, 'wasm', name),
    `export const script = ${JSON.stringify(output[0].code)};\n`,
  );
  return isFile
    ? output.map(({ fileName }) => ({ fileName: `${dirname(script)}/${fileName}` }))
    : [];
}

/** Compiled modules whose source is still there. */
function modulesOf(packageRoot, out) {
  return files(out)
    .filter((path) => path.endsWith('.js'))
    .filter((path) => !Object.values(scripts).includes(path))
    .filter((path) => existsSync(join(packageRoot, 'src', path.replace(/js$/, 'ts'))));
}

/** The worker's script has nothing beside it, so it holds what it uses of the other packages. */
const workspacePackages = {
  name: 'workspace-packages',
  resolveId: (id) =>
    id.startsWith('@flash-mla/') ? fileURLToPath(import.meta.resolve(id)) : undefined,
};

/** The compiler's source maps lead on to the TypeScript. */
const withSourceMaps = {
  name: 'source-maps',
  load(id) {
    const code = readFileSync(id, 'utf8').replace(mapComment, '\n');
    return { code, map: JSON.parse(readFileSync(`${id}.map`, 'utf8')) };
  },
};

const common = {
  treeshake: false,
  plugins: [withSourceMaps],
  onwarn(warning) {
    // The compiler's helpers look for one: `(this && this.__helper) || …`.
    if (warning.code === 'THIS_IS_UNDEFINED') return;
    throw new Error(`rollup: ${warning.message}`);
  },
};

/** What `exports` and `imports` of the package lead to, as paths in `out`; `index.js` is first. */
function publicDoors(packageRoot) {
  const manifest = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8'));
  const doors = [];
  const visit = (target) => {
    if (typeof target === 'object') Object.values(target).forEach(visit);
    else if (/^\.\/dist\/.*\.js$/.test(target)) {
      doors.push(join(packageRoot, 'out', target.slice('./dist/'.length)));
    }
  };
  visit(manifest.exports);
  visit(manifest.imports ?? {});
  return doors;
}

/**
 * The chunk of each module, by which doors lead to it through static imports. What the first door
 * needs is one chunk, since it is always loaded; beyond that, what the same doors need.
 */
function chunksOf(out, publicDoors) {
  let names;
  return (id, { getModuleIds, getModuleInfo }) => {
    names ??= nameChunks(out, publicDoors, [...getModuleIds()], getModuleInfo);
    return names.get(id);
  };
}

function nameChunks(out, publicDoors, ids, infoOf) {
  const own = ids.filter((id) => id.startsWith(out));
  const isDoor = (id) => {
    const { importers, dynamicImporters } = infoOf(id);
    // What no module imports is a worker's script, or a command.
    return publicDoors.includes(id) || dynamicImporters.length > 0 || importers.length === 0;
  };
  const doorsOf = new Map(own.map((id) => [id, []]));
  for (const door of own.filter(isDoor)) {
    for (const id of closure(door, infoOf)) doorsOf.get(id)?.push(door);
  }
  const names = new Map();
  for (const id of own) {
    const doors = doorsOf.get(id);
    // What finds files by its own address stays where it is, and so do scripts and the sides of a platform.
    if (infoOf(id).code.includes('import.meta') || infoOf(id).exports.length === 0) continue;
    if (/\/platform\/(node|browser)\.js$/.test(id)) continue;
    names.set(id, doors.includes(publicDoors[0]) ? 'core' : chunkName(out, doors));
  }
  return names;
}

function closure(door, infoOf) {
  const reached = new Set([door]);
  for (const id of reached) {
    for (const next of infoOf(id)?.importedIds ?? []) reached.add(next);
  }
  return reached;
}

/** `backends-cpu-index`, or for what several doors share the first of them and how many more. */
function chunkName(out, doors) {
  const [first, ...others] = doors.map((door) =>
    relative(out, door).replace(/\.js$/, '').split(sep).join('-'),
  );
  if (others.length === 0) return first;
  return `${first}-and-${others.length}-${checksum(others.join())}`;
}

/** FNV-1a: tells sets of doors apart. */
function checksum(text) {
  let hash = 0x811c9dc5;
  for (const letter of text) hash = Math.imul(hash ^ letter.charCodeAt(0), 0x01000193);
  return (hash >>> 0).toString(36);
}

/** What an earlier build left of modules that are gone. */
function removeOthers(packageRoot, output) {
  const dist = join(packageRoot, 'dist');
  const written = new Set(output.map(({ fileName }) => fileName));
  for (const path of files(dist)) {
    const isScript = /\.js(\.map)?$/.test(path);
    const source = join(packageRoot, 'src', path.replace(/\.d\.ts$/, '.ts'));
    if (path === '.tsbuildinfo') continue;
    if (isScript ? written.has(path) : path.endsWith('.d.ts') && existsSync(source)) continue;
    rmSync(join(dist, path));
  }
}

/** Paths of all files below a folder, with `/` between their parts. */
function files(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join('/'));
}
