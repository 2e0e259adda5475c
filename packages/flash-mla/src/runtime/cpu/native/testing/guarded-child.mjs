// Runs kernels with each of their operands in a mapping of its own, between pages that may not be touched: what
// reads or writes beside an operand ends this process by SIGSEGV. Input: what to run, as guarded.ts writes it.
// Output: the memory after each trial, one behind the other.
import { readFileSync, writeSync } from 'node:fs';
import { createRequire } from 'node:module';

const { koffi: path, kernels, trials, tiles } = JSON.parse(readFileSync(0, 'utf8'));
const koffi = createRequire(path)(path);
const libc = koffi.load(null);
const mmap = libc.func('void *mmap(void *, size_t, int, int, int, int64_t)');
const mprotect = libc.func('int mprotect(void *, size_t, int)');
const munmap = libc.func('int munmap(void *, size_t)');
const syscall = libc.func('long syscall(long, long, long, long)');
const [pageBytes, failed] = [4096, 0xffffffffffffffffn];
const [none, readWrite, readExecute] = [0, 3, 5];
const [privateAnonymous, atThisPlace] = [0x22, 0x100000];

function map(bytes, protection, address = null, flags = 0) {
  const at = mmap(address, bytes, protection, privateAnonymous | flags, -1, 0);
  if (at === failed) throw new Error(`mmap: errno ${koffi.errno()}`);
  return at;
}

function protect(address, bytes, protection) {
  if (mprotect(address, bytes, protection) !== 0) throw new Error(`mprotect: ${koffi.errno()}`);
}

const prototype = koffi.proto('void', ['int64_t', 'int64_t']);
const calls = kernels.map((code) => {
  const bytes = Buffer.from(code, 'base64');
  const at = map(bytes.length, readWrite);
  new Uint8Array(koffi.view(at, bytes.length)).set(bytes);
  protect(at, bytes.length, readExecute);
  return koffi.decode(at, prototype);
});
// Asks Linux for the tile registers; where there are none, no kernel needs them.
syscall(158, 0x1023, 18, 0);
if (tiles) map(tiles.bytes, readWrite, BigInt(tiles.at), atThisPlace);

const roundUp = (bytes) => Math.ceil(bytes / pageBytes) * pageBytes;

function run({ kernel, memory: text, operands, side }) {
  const memory = Buffer.from(text, 'base64');
  // The first and last page, and those between operands, are never to be touched.
  const length = operands.reduce((sum, { bytes }) => sum + roundUp(bytes) + pageBytes, pageBytes);
  const base = map(length, none);
  let page = pageBytes;
  const places = operands.map(({ bytes }) => {
    const room = roundUp(bytes);
    protect(base + BigInt(page), room, readWrite);
    const at = side === 'end' ? page + room - bytes : page;
    page += room + pageBytes;
    return at;
  });
  for (const [i, { at, pointers }] of operands.entries()) {
    for (const word of pointers) {
      memory.writeUInt32LE(memory.readUInt32LE(word) - at + places[i], word);
    }
  }
  const views = operands.map(({ at, bytes }, i) => {
    const view = new Uint8Array(koffi.view(base + BigInt(places[i]), bytes));
    view.set(memory.subarray(at, at + bytes));
    return view;
  });
  // The job is the first operand.
  calls[kernel](Number(base) + places[0], Number(base));
  for (const [i, { at }] of operands.entries()) memory.set(views[i], at);
  munmap(base, length);
  for (let sent = 0; sent < memory.length; ) sent += writeSync(1, memory, sent);
}

for (const trial of trials) run(trial);
