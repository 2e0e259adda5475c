/** Median milliseconds on the device of what `enqueue` enqueues, after two runs that do not count. */
export async function measure(device, enqueue, repeats) {
  const { deviceTime } = device.backend.measurements;
  if (!deviceTime) throw new Error('this adapter has no timestamp queries');
  const times = [];
  for (let i = 0; i < repeats + 2; i++) times.push((await deviceTime(enqueue)) * 1e3);
  return median(times.slice(2));
}

export function median(values) {
  return values.sort((a, b) => a - b)[values.length >> 1];
}
