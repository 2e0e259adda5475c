// Writes the AssemblyScript classes by which the kernels read what the host writes: for each module
// `descriptors.ts` of the library one in assembly/generated. The offsets are those that the host writes at, so
// the two sides cannot differ; a field that one side does not know is an error of a compiler.
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import { pathToFileURL } from 'node:url';

/** Generates from the compiled modules below `dist` into `target`. */
export async function generate(dist, target) {
  const { headBytes } = await import(
    pathToFileURL(join(dist, 'runtime', 'cpu', 'commands', 'define-command.js'))
  );
  const modules = await Promise.all(
    readdirSync(dist, { recursive: true })
      .filter((path) => path.endsWith(`${sep}descriptors.js`))
      .sort()
      .map(async (path) => ({
        name: moduleName(path),
        source: path.split(sep).join('/').replace(/\.js$/, '.ts'),
        declared: Object.entries(await import(pathToFileURL(join(dist, path)))),
      })),
  );
  const homes = new Map(
    modules.flatMap(({ name, declared }) =>
      declared.filter(([, { kind }]) => kind === 'record').map(([, record]) => [record, name]),
    ),
  );
  rmSync(target, { recursive: true, force: true });
  mkdirSync(target, { recursive: true });
  for (const each of modules) {
    writeFileSync(join(target, `${each.name}.ts`), moduleText(each, homes, headBytes));
  }
}

/** `ops/norm/cpu/descriptors.js` is `norm`, `runtime/cpu/commands/descriptors.js` is `commands`. */
function moduleName(path) {
  const [room, ...rest] = path.split(sep);
  return room === 'ops' ? rest[0] : rest.at(-2);
}

function moduleText({ name, source, declared }, homes, headBytes) {
  const used = new Map();
  const classOf = (record) => {
    const home = homes.get(record);
    if (home === undefined) throw new Error(`${source}: ${record.name} is not exported`);
    if (home !== name) used.set(record.name, `./${home}`);
    return record.name;
  };
  const parts = declared.map(([, each]) => {
    if (each.kind === 'constants') return constantsText(each);
    if (each.kind === 'record') return bytesText(each) + classText(each, 0, '', true, classOf);
    if (each.kind !== 'command') return '';
    used.set('Command', '../work');
    return classText(each.descriptor, headBytes, ' extends Command', false, classOf);
  });
  const imports = [...used].map(([each, from]) => `import { ${each} } from '${from}';\n`).sort();
  return [`/** Made by assembly/generate.mjs from src/${source}. */\n`, imports.join(''), ...parts]
    .filter((part) => part !== '')
    .join('\n');
}

const constantsText = ({ type, values }) =>
  Object.entries(values)
    .map(([name, value]) => `export const ${name}: ${type} = ${value};\n`)
    .join('');

/** `SchedulePart` takes SCHEDULE_PART_BYTES. */
function bytesText({ name, byteLength }) {
  const constant = name.replace(/\B[A-Z]/g, '_$&').toUpperCase();
  return `export const ${constant}_BYTES: usize = ${byteLength};\n`;
}

function classText({ name, places }, base, heritage, isWritten, classOf) {
  const self = 'changetype<usize>(this)';
  const members = places.flatMap(({ name: field, type, offset }) => {
    const at = base + offset;
    if (typeof type === 'object') {
      const nested = classOf(type);
      return [`get ${field}(): ${nested} { return changetype<${nested}>(${self} + ${at}); }`];
    }
    if (type === 'atomic') return [`get ${field}(): usize { return ${self} + ${at}; }`];
    const getter = `get ${field}(): ${type} { return load<${type}>(${self}, ${at}); }`;
    const setter = `set ${field}(value: ${type}) { store<${type}>(${self}, value, ${at}); }`;
    return isWritten ? [getter, setter] : [getter];
  });
  const lines = members.map((member) => `  @inline ${member}\n`);
  return `@unmanaged\nexport class ${name}${heritage} {\n${lines.join('')}}\n`;
}
