import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../../../../../', import.meta.url));
// Inside the workspace, so that `import 'flash-mla'` finds the built package as a user's program would.
const scratch = join(root, 'node_modules', '.cache', 'flash-mla-types', String(process.pid));

const head = `
import { flashMlaWithKvCache, type FlashMlaSchedMeta, type Tensor } from 'flash-mla';
declare const bf16: Tensor<'bf16'>, f16: Tensor<'f16'>, u8: Tensor<'u8'>, i32: Tensor<'i32'>;
declare const schedMeta: FlashMlaSchedMeta;
`;

/** Mistakes, and the end of what the compiler has to say: its last line names what is wrong. */
const mistakes: readonly [what: string, call: string, column: string, message: RegExp][] = [
  [
    'another dtype of kCache',
    '{ q: bf16, kCache: f16, blockTable: i32, cacheSeqlens: i32, headDimV: 512, schedMeta }',
    'kCache',
    /Type 'Tensor<"f16">' is not assignable to type 'Tensor<"bf16">'\.\n.*'"f16"' is not assignable to type '"bf16"'/,
  ],
  [
    'no schedMeta',
    '{ q: bf16, kCache: bf16, blockTable: i32, cacheSeqlens: i32, headDimV: 512 }',
    '{',
    /Property 'schedMeta' is missing in .* required in type '.*FlashMlaSchedMeta/,
  ],
  [
    'no schedMeta of a sparse call',
    '{ q: bf16, kCache: u8, indices: i32, headDimV: 512 }',
    '{',
    /Property 'schedMeta' is missing in .* required in type '.*FlashMlaSchedMeta/,
  ],
  [
    'no blockTable',
    '{ q: bf16, kCache: bf16, cacheSeqlens: i32, headDimV: 512, schedMeta }',
    '{',
    /Property 'blockTable' is missing in .* required in type 'DenseDecodeOptions<"bf16">'/,
  ],
  [
    'neither blockTable nor cacheSeqlens',
    '{ q: bf16, kCache: bf16, headDimV: 512, schedMeta }',
    '{',
    /missing the following properties from type 'DenseDecodeOptions<"bf16">': blockTable, cacheSeqlens/,
  ],
  [
    'packed rows without indices',
    '{ q: bf16, kCache: u8, blockTable: i32, cacheSeqlens: i32, headDimV: 512, schedMeta }',
    'kCache',
    /'Tensor<"u8">' is not assignable to type 'Tensor<"bf16">'/,
  ],
  [
    'rows of f16 in a sparse call',
    '{ q: bf16, kCache: f16, indices: i32, headDimV: 512, schedMeta }',
    'kCache',
    /'Tensor<"f16">' is not assignable to type 'Tensor<"bf16" \| "u8">'/,
  ],
  [
    'a misspelled name',
    '{ q: bf16, kCache: bf16, blockTable: i32, cacheSeqlens: i32, headDimV: 512, schedMeta, casual: true }',
    'casual',
    /'casual' does not exist in type .*Did you mean to write 'causal'\?/,
  ],
];

const call = (options: string) => `flashMlaWithKvCache(${options});`;
const firstLine = head.split('\n').length;
let messages: ReadonlyMap<string, string>;

beforeAll(() => {
  mkdirSync(scratch, { recursive: true });
  const code = head + mistakes.map(([, options]) => call(options)).join('\n');
  writeFileSync(join(scratch, 'mistakes.mts'), code);
  const compilerOptions = {
    noEmit: true,
    strict: true,
    skipLibCheck: true,
    noErrorTruncation: true,
    target: 'es2022',
    module: 'nodenext',
    lib: ['es2023', 'esnext.disposable', 'dom'],
    types: [],
  };
  const config = { compilerOptions, files: ['mistakes.mts'] };
  writeFileSync(join(scratch, 'tsconfig.json'), JSON.stringify(config));
  const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  const args = [compiler, '--pretty', 'false'];
  const { stdout } = spawnSync(process.execPath, args, { cwd: scratch, encoding: 'utf8' });
  const places = stdout.split(/^mistakes\.mts\((\d+,\d+)\): /m).slice(1);
  messages = new Map(places.flatMap((at, i) => (i % 2 === 0 ? [[at, places[i + 1] ?? '']] : [])));
});

afterAll(() => rmSync(scratch, { recursive: true, force: true }));

describe('what the compiler says about a mistake', () => {
  it('is one message for each', () => {
    expect([...messages.keys()].length, [...messages].join('\n')).toBe(mistakes.length);
  });

  it.each(mistakes)('%s', (_what, options, column, message) => {
    const index = mistakes.findIndex((mistake) => mistake[1] === options);
    const place = `${firstLine + index},${call(options).indexOf(column) + 1}`;
    expect(messages.get(place), [...messages].join('\n')).toMatch(message);
    expect(messages.get(place)).not.toMatch(/numSplits' is missing/);
  });
});
