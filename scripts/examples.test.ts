// Runs every example of the READMEs and of docs/ as it is written: each fenced ts, js or sh block.
// `ts continued` goes on where the example before it ended; `ts cuda` needs an NVIDIA GPU. Blocks fenced
// as `console` are sessions to read, `ts fragment` parts of a program: they are not run.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { transformWithEsbuild } from 'vite';
import { afterAll, describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
// Inside the workspace, so that `import 'flash-mla'` finds the package as a user's program would.
const scratch = join(root, 'node_modules', '.cache', 'flash-mla-examples', String(process.pid));

interface Example {
  readonly language: string;
  readonly needsCuda: boolean;
  readonly code: string;
  readonly line: number;
}

function examplesOf(file: string): Example[] {
  const text = readFileSync(file, 'utf8');
  const examples: Example[] = [];
  for (const match of text.matchAll(/^```(ts|js|sh)(?: (continued|cuda))?\n(.*?)^```$/gms)) {
    const [, language = '', kind, code = ''] = match;
    const before =
      kind === 'continued' ? (examples.findLast((e) => e.language === language)?.code ?? '') : '';
    const line = text.slice(0, match.index).split('\n').length;
    examples.push({ language, needsCuda: kind === 'cuda', code: before + code, line });
  }
  return examples;
}

function markdownFiles(): string[] {
  const packages = readdirSync(join(root, 'packages')).map((name) => join('packages', name));
  const readmes = ['.', ...packages].map((folder) => join(root, folder, 'README.md'));
  const docs = readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(root, 'docs', name));
  return [...readmes.filter((path) => existsSync(path)), ...docs];
}

function runInRoot(command: string, args: readonly string[]) {
  const { NO_COLOR: _no, FORCE_COLOR: _force, ...env } = process.env;
  return spawnSync(command, args, { cwd: root, encoding: 'utf8', env, timeout: 50_000 });
}

async function run({ language, code, line }: Example, file: string) {
  // A user's shell goes on after a failing line; an example must not have one.
  if (language === 'sh') return runInRoot('bash', ['-e', '-o', 'pipefail', '-c', code]);
  const name = `${relative(root, file).replace(/\W+/g, '-')}-${line}.mjs`;
  const path = join(scratch, name);
  mkdirSync(dirname(path), { recursive: true });
  // Node 20 knows neither types nor `await using`.
  const { code: script } = await transformWithEsbuild(code, `example.${language}`, {
    target: 'node20',
    sourcemap: false,
  });
  writeFileSync(path, script);
  return runInRoot(process.execPath, [path]);
}

const command = join(root, 'packages', 'flash-mla', 'bin', 'flash-mla.js');
const { devices } = JSON.parse(runInRoot(process.execPath, [command, 'doctor', '--json']).stdout);
const hasCuda = devices.some((device: { backend: string; available: boolean }) => {
  return device.backend === 'cuda' && device.available;
});

afterAll(() => rmSync(scratch, { recursive: true, force: true }));

describe.each(markdownFiles().map((file) => [relative(root, file), file] as const))(
  '%s',
  (_name, file) => {
    for (const example of examplesOf(file)) {
      const { language, line, needsCuda } = example;
      const reason = needsCuda && !hasCuda ? ' (skipped: there is no NVIDIA GPU)' : '';
      it.skipIf(reason !== '')(
        `the ${language} example at line ${line} runs${reason}`,
        async () => {
          const { status, stdout, stderr } = await run(example, file);
          expect(status, `${stdout}\n${stderr}`).toBe(0);
        },
      );
    }

    it('links to files that are there', () => {
      const text = readFileSync(file, 'utf8');
      const targets = [...text.matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)].map((match) => match[1]);
      const missing = targets.filter((target) => !existsSync(join(dirname(file), target ?? '')));
      expect(missing).toEqual([]);
    });
  },
);
