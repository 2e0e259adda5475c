// Closes devices whose work is not done, and says so at the end: a process that loses its last reason
// to stay alive while it waits for dispose() ends silently with code 13. Arguments: module of the
// library, number of devices, threads of each.
const [module, count, threads] = process.argv.slice(2);
const { flashMlaWithKvCache, getMlaMetadata, openDevice } = await import(module);
for (let i = 0; i < Number(count); i++) {
  const device = await openDevice('cpu', { threads: Number(threads) });
  const q = device.tensor(new Float32Array(8 * 128 * 576), [8, 1, 128, 576], 'bf16');
  const kCache = device.tensor(new Float32Array(64 * 576), [1, 64, 1, 576], 'bf16');
  const blockTable = device.tensor(new Int32Array(8), [8, 1], 'i32');
  const cacheSeqlens = device.tensor(new Int32Array(8).fill(10), [8], 'i32');
  const [schedMeta] = getMlaMetadata();
  flashMlaWithKvCache({ q, kCache, blockTable, cacheSeqlens, headDimV: 512, schedMeta });
  // Some close at once, some just when the work is about to end.
  if (i % 2 === 1) await new Promise((resolve) => setTimeout(resolve, (i % 8) / 2));
  await device.dispose();
}
console.log(`closed ${count}`);
