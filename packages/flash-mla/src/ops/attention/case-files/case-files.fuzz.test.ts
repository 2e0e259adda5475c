import { encodeElements } from '@flash-mla/core';
import { expect, it } from 'vitest';
import type { CaseParams, CaseProblem } from '../../cases.ts';
import { encodeCase, generateProblem, loadCase, openSafetensors } from '../../cases.ts';
import { Outcomes } from '../../conformance/fuzz/outcomes.ts';
import { referenceAnswers } from '../../conformance/kinds.ts';
import { Random } from '../../conformance/suite/random.ts';
import { hostTensor } from '../../reference.ts';

/** Small valid files of every kind, with answers. */
const seeds: readonly CaseParams[] = [
  { op: 'dense-decode', b: 2, sQ: 1, sK: 3, hQ: 2, hKv: 1, dQk: 16, dV: 16, page: 2 },
  {
    op: 'dense-decode',
    b: 1,
    sQ: 1,
    sK: 3,
    hQ: 1,
    hKv: 1,
    dQk: 16,
    dV: 16,
    page: 2,
    dtype: 'e4m3',
    descales: true,
  },
  {
    ...{ op: 'sparse-decode', layout: 'v32', b: 2, sQ: 1, hQ: 2, sink: 'finite' },
    cache: { sK: 3, topk: 2, page: 2, lengths: true },
    extra: { sK: 3, topk: 2, page: 1, lengths: true },
  },
  {
    op: 'sparse-decode',
    layout: 'bf16',
    dQk: 512,
    b: 1,
    sQ: 1,
    hQ: 1,
    cache: { sK: 2, topk: 2, page: 1 },
  },
  { op: 'sparse-prefill', sQ: 2, sKv: 3, topk: 2, hQ: 1, dQk: 512, lengths: true, sink: 'finite' },
];

async function seedFiles(): Promise<Uint8Array[]> {
  return Promise.all(
    seeds.map((params, i) => {
      const problem = generateProblem(`seed ${i}`, params as never) as CaseProblem;
      const { out, lse } = referenceAnswers(problem);
      const rows = lse?.values.length ?? 0;
      const leading = problem.q.shape.slice(0, -1);
      const lseShape = leading.length === 3 ? [leading[0], leading[2], leading[1]] : leading;
      const expected = {
        out: hostTensor(
          'bf16',
          [...leading, out?.rowLength ?? 0],
          encodeElements('bf16', out?.values ?? []),
        ),
        lse: hostTensor('f32', lseShape as number[], Float32Array.from(lse?.values ?? [])),
      };
      expect(rows).toBeGreaterThan(0);
      return encodeCase({ problem, answers: { expected, flashmla: {} } });
    }),
  );
}

/** The parts of a file: its header as text and its data. */
function split(file: Uint8Array) {
  const length = Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));
  const header = new TextDecoder().decode(file.subarray(8, 8 + length)).trimEnd();
  return { header, data: file.subarray(8 + length) };
}

function join(header: string, data: Uint8Array, lengthOffBy = 0): Uint8Array {
  const json = new TextEncoder().encode(header);
  const file = new Uint8Array(8 + json.length + data.length);
  new DataView(file.buffer).setBigInt64(0, BigInt(json.length + lengthOffBy), true);
  file.set(json, 8);
  file.set(data, 8 + json.length);
  return file;
}

const numbers = [
  0,
  1,
  -1,
  2,
  0.5,
  7,
  255,
  256,
  2 ** 31,
  -(2 ** 31),
  2 ** 32,
  2 ** 53,
  1e300,
  -0,
  1e-9,
];
const words = [
  '',
  'F32',
  'F16',
  'BF16',
  'F64',
  'I64',
  'U8',
  'F8_E4M3',
  'BOOL',
  'X',
  '__proto__',
  'q',
  'NaN',
  'inf',
  '-1',
  '1e999',
  '0x10',
  'true',
  'v32',
  'model1',
];
const junk = [
  null,
  true,
  {},
  [],
  [[]],
  { a: 1 },
  ['x'],
  '\u0000',
  '😀',
  '\ud800',
  'x'.repeat(5000),
];

/** One or two wrong things in the parsed header, which is then written back with the data as they are. */
function mutateHeader(header: string, random: Random): string {
  const parsed = JSON.parse(header) as Record<string, Record<string, unknown>>;
  const value = () => random.pick([random.pick(numbers), random.pick(words), random.pick(junk)]);
  for (let n = random.integer(1, 2); n > 0; n--) {
    const name = random.pick(Object.keys(parsed));
    const entry = parsed[name];
    if (entry === undefined || entry === null || typeof entry !== 'object') continue;
    const keys = Object.keys(entry);
    const key = keys.length > 0 ? random.pick(keys) : 'shape';
    const list = entry[key];
    switch (random.integer(0, 7)) {
      case 0:
        delete parsed[name];
        break;
      case 1:
        parsed[name] = value() as never;
        break;
      case 2:
        delete entry[key];
        break;
      case 3:
        entry[random.pick(['extra', '__proto__', 'toString', 'dtype'])] = value();
        break;
      case 4:
        parsed[random.pick(words)] = structuredClone(entry);
        break;
      default:
        if (Array.isArray(list) && list.length > 0) {
          const at = random.integer(0, list.length - 1);
          const old = list[at] as number;
          list[at] = random.pick([value(), old + 1, old - 1, old * 2, -old, old + 2 ** 32]);
        } else entry[key] = value();
    }
  }
  return JSON.stringify(parsed);
}

/** Characters of the header's text replaced, doubled or dropped. */
function mutateText(header: string, random: Random): string {
  const characters = [...header];
  for (let n = random.integer(1, 3); n > 0; n--) {
    const at = random.integer(0, characters.length - 1);
    const insert = random.pick([
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"',
      '\\',
      '-',
      '.',
      'e',
      '9',
      ' ',
      '\n',
      'é',
    ]);
    characters.splice(at, random.integer(0, 1), ...(random.chance(0.8) ? [insert] : []));
  }
  return characters.join('');
}

/** Which of the ways to break a file; every file that comes out differs from its seed. */
function malform(seed: Uint8Array, random: Random): Uint8Array {
  const { header, data } = split(seed);
  switch (random.integer(0, 9)) {
    case 0:
      return seed.slice(0, random.integer(0, seed.length - 1));
    case 1:
      return join(header, data, random.pick([-1, 1, -header.length, 7, 1e9, 2 ** 40, -1e6]));
    case 2:
      return join(header, random.chance(0.5) ? data.subarray(1) : Uint8Array.of(...data, 0));
    case 3:
      return Uint8Array.from({ length: random.integer(0, 200) }, () => random.integer(0, 255));
    case 4: {
      const file = seed.slice();
      for (let n = random.integer(1, 4); n > 0; n--) {
        file[random.integer(0, 7 + header.length)] = random.integer(0, 255);
      }
      return file;
    }
    case 5:
    case 6:
      return join(mutateText(header, random), data);
    default:
      return join(mutateHeader(header, random), data);
  }
}

it('12,000 malformed case files each end in a typed error that names the field', async () => {
  const files = await seedFiles();
  for (const file of files) await loadCase(file);
  const outcomes = new Outcomes();
  const random = new Random('fuzz case files');
  const before = process.memoryUsage();
  let peak = 0;
  for (let i = 0; outcomes.refused < 12_000; i++) {
    const file = malform(random.pick(files), random);
    try {
      await loadCase(file, `file ${i}`);
      outcomes.accept();
    } catch (error) {
      outcomes.refuse(
        error,
        () => `file ${i}: ${JSON.stringify(split(file).header).slice(0, 2000)}`,
      );
    }
    if (i % 100 === 0) peak = Math.max(peak, process.memoryUsage().arrayBuffers);
  }
  outcomes.expectSpread(12_000, 100);
  // A change that leaves a valid file (a space, an unused name) is no malformed file.
  expect(outcomes.accepted).toBeLessThan(outcomes.refused / 5);
  expect(peak - before.arrayBuffers).toBeLessThan(64 * 2 ** 20);
});

it('opening a file that claims much allocates little', async () => {
  const shapes = [
    '[2147483647,2147483647]',
    '[9007199254740991]',
    `[${Array(64).fill(2)}]`,
    '[1,0,9007199254740991]',
  ];
  const before = process.memoryUsage();
  for (const shape of shapes) {
    for (const dtype of ['U8', 'F32', 'X']) {
      for (const end of [0, 100, 9007199254740991]) {
        const header = `{"t":{"dtype":"${dtype}","shape":${shape},"data_offsets":[0,${end}]}}`;
        const file = await openSafetensors(
          join(header, new Uint8Array(end === 100 ? 100 : 0)),
        ).catch((error: unknown) => new Outcomes().refuse(error, () => header));
        await file?.read('t').catch((error: unknown) => new Outcomes().refuse(error, () => header));
      }
    }
  }
  expect(process.memoryUsage().arrayBuffers - before.arrayBuffers).toBeLessThan(2 ** 20);
});
