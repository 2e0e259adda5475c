import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bundledCaseUrl } from '../ops/cases.ts';
import { errorParagraph, exitCodeOf } from './errors.ts';
import { makeFolder, readTextFile, writeTextFile } from './files.ts';
import { runCli } from './testing/run-cli.ts';

const caseFile = fileURLToPath(bundledCaseUrl('sparse_v32_invalid'));

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'flash-mla-robust-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** A pipe that nobody writes to: opening it as usual waits for ever. */
function pipe(name: string): string {
  const path = join(folder, name);
  execFileSync('mkfifo', [path]);
  return path;
}

describe('sizes', () => {
  const huge = String(2 ** 31 - 1);
  it.each([
    [['bench', 'dense-decode', '--b', huge], /--b.*whole number from 1 to 1048576/],
    [['inspect', 'dense-decode', '--b', huge, '--simulate'], /--b.*whole number from/],
    [['inspect', 'dense-decode', '--b', '1048576'], /takes 9\.3 TiB of memory, and no device/],
    [['inspect', 'sparse-decode', '--simulate'], /and the simulator has \d/],
    [['bench', 'dense-decode', '--device', 'cpu', '--s-k', huge], /device cpu has \d/],
    [['bench', 'dense-decode', '--d-qk', '100000'], /--d-qk: expected a multiple of 16 up to 576/],
  ])('that are too large are refused at once: %j', async (args, message) => {
    const { code, stdout, stderr } = await runCli(args);
    expect(stderr).toMatch(message);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  });
});

describe.skipIf(process.platform === 'win32')('what is no regular file', () => {
  it('is refused by run, and the other files run', async () => {
    const fifo = pipe('pipe.safetensors');
    const { code, stdout, stderr } = await runCli(['run', fifo, caseFile, '--device', 'cpu']);
    expect(stderr).toMatch(/pipe\.safetensors' \(not a regular file\)\n$/);
    expect(stdout).toMatch(/sparse_v32_invalid .* pass/);
    expect(code).toBe(2);
  });

  it('is refused where text is read, and one that is too large as well', async () => {
    await expect(readTextFile(pipe('pipe.json'), 100)).rejects.toThrow(
      /pipe.json: not a regular file/,
    );
    await expect(readTextFile('/dev/zero', 100)).rejects.toThrow(/not a regular file/);
    const path = join(folder, 'text.json');
    writeFileSync(path, '12345678');
    expect(await readTextFile(path, 8)).toBe('12345678');
    await expect(readTextFile(path, 7)).rejects.toThrow(/text.json: expected at most 7 B, got 8 B/);
  });
});

describe('terminal escapes', () => {
  const hostile = '\x1b[31mred\x1b]0;title\x07\x9b2J';
  const acting = /(?!\n)\p{Cc}/u;

  it.skipIf(process.platform === 'win32')('in the name of a file are spelled out', async () => {
    const path = join(folder, `${hostile}.safetensors`);
    copyFileSync(caseFile, path);
    const { code, stdout, stderr } = await runCli(['run', path, '--device', 'cpu']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain('\\x1b[31mred\\x1b]0;title\\x07\\x9b2J');
    expect(stdout).not.toMatch(acting);
    const json = await runCli(['run', path, join(folder, hostile), '--device', 'cpu', '--json']);
    expect(json.stdout + json.stderr).not.toMatch(acting);
    expect(JSON.parse(json.stdout).cases[0].name).toBe(hostile);
  });

  it('in what a file says are, too', async () => {
    const path = join(folder, 'op.safetensors');
    const header = JSON.stringify({ __metadata__: { op: hostile } });
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(Buffer.byteLength(header)));
    writeFileSync(path, Buffer.concat([length, Buffer.from(header)]));
    const { code, stderr } = await runCli(['run', path, '--device', 'cpu'], {
      env: { FLASH_MLA_DEBUG: '1' },
    });
    expect(stderr).toContain('\\x1b[31mred');
    expect(stderr).not.toMatch(acting);
    expect(code).toBe(2);
  });

  it('on the command line are, too', async () => {
    const { stderr } = await runCli([hostile]);
    expect(stderr).toContain("unknown command '\\x1b[31mred");
    expect(stderr).not.toMatch(acting);
  });
});

describe('what the system refuses', () => {
  it('is no bug: a file where a folder has to be', async () => {
    const file = join(folder, 'file');
    writeFileSync(file, '');
    for (const out of [file, join(file, 'below')]) {
      const { code, stderr } = await runCli(['run', caseFile, '--device', 'cpu', '--out', out]);
      expect(stderr).toMatch(/^error: .*file.*: (there is a file|a part of the path)[^.]*\n$/);
      expect(code).toBe(2);
    }
  });

  it.skipIf(process.platform !== 'linux')('is no bug: a full disk under stdout', async () => {
    const out = await runCli(['bench', '--help'], { stdout: '/dev/full' });
    expect(out).toMatchObject({ code: 1, stderr: 'error: write: the disk is full\n' });
  });

  it('is no bug: any error of the system, with and without a path', () => {
    const full = { errno: -28, code: 'ENOSPC', syscall: 'write' };
    const error = Object.assign(new Error('ENOSPC: no space left on device, write'), full);
    expect([errorParagraph(error), exitCodeOf(error)]).toEqual(['write: the disk is full', 1]);
    const loop = { errno: -40, code: 'ELOOP', syscall: 'open', path: 'a' };
    const looping = Object.assign(new Error('ELOOP'), loop);
    expect([errorParagraph(looping), exitCodeOf(looping)]).toEqual([
      'a: too many symbolic links encountered',
      2,
    ]);
    expect(errorParagraph(new TypeError('x'))).toMatch(/bug of flash-mla/);
  });

  it('names the file that was to be written, and leaves nothing of it', async () => {
    const path = join(folder, 'none', 'a.json');
    await expect(writeTextFile(path, 'text')).rejects.toMatchObject({ code: 'ENOENT', path });
    const whole = join(folder, 'a.json');
    await writeTextFile(whole, 'one');
    await writeTextFile(whole, 'two');
    expect(readFileSync(whole, 'utf8')).toBe('two');
  });

  it('makes folders, those above included, and ends where none can be made', async () => {
    const path = join(folder, 'x', 'y');
    await makeFolder(path);
    await makeFolder(path);
    expect(statSync(path).isDirectory()).toBe(true);
    if (process.platform !== 'linux') return;
    await expect(makeFolder('/proc/none/below')).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
