// Writes and reads the same few entries over and over, as one of several processes. Prints what it
// read: `damaged` must stay 0. Arguments: module of the cache, directory, rounds.
const [module, directory, rounds] = process.argv.slice(2);
const { CubinCache, cubinKey } = await import(module);
const cache = new CubinCache({ directory, maxBytes: 2 ** 30 });
let whole = 0;
let damaged = 0;
for (let round = 0; round < Number(rounds); round++) {
  for (let entry = 0; entry < 4; entry++) {
    const key = cubinKey(`kernel ${entry}`, '');
    const code = cache.read(key);
    if (code?.length === 100_000 && code.every((byte) => byte === entry)) whole++;
    else if (code !== undefined) damaged++;
    cache.write(key, new Uint8Array(100_000).fill(entry));
  }
}
console.log(JSON.stringify({ whole, damaged }));
