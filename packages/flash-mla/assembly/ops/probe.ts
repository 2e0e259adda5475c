import { ProbeFma, ProbeRead } from '../generated/commands';
import { fma, sumLanes } from '../simd';

/** a·b + c as the kernels compute it: tells whether this engine fuses it. */
export function multiplyAdd(a: f32, b: f32, c: f32): f32 {
  return f32x4.extract_lane(fma(f32x4.splat(a), f32x4.splat(b), f32x4.splat(c)), 0);
}

/** FMA vector instructions of one iteration of {@link probeFma}. */
export function probeFmasPerIteration(): i32 {
  return 24;
}

/**
 * A loop of nothing but independent FMAs in registers: the ceiling of what any kernel here can reach
 * on a machine. Returns a value that depends on all of them.
 */
function loopFma(iterations: i32): f32 {
  const x = f32x4.splat(0.999);
  const y = f32x4.splat(0.001);
  let a = y, b = y, c = y, d = y, e = y, f = y, g = y, h = y, i = y, j = y, k = y, l = y;
  for (let n = 0; n < iterations; n++) {
    a = fma(a, x, y);
    b = fma(b, x, y);
    c = fma(c, x, y);
    d = fma(d, x, y);
    e = fma(e, x, y);
    f = fma(f, x, y);
    g = fma(g, x, y);
    h = fma(h, x, y);
    i = fma(i, x, y);
    j = fma(j, x, y);
    k = fma(k, x, y);
    l = fma(l, x, y);
    a = fma(a, x, y);
    b = fma(b, x, y);
    c = fma(c, x, y);
    d = fma(d, x, y);
    e = fma(e, x, y);
    f = fma(f, x, y);
    g = fma(g, x, y);
    h = fma(h, x, y);
    i = fma(i, x, y);
    j = fma(j, x, y);
    k = fma(k, x, y);
    l = fma(l, x, y);
  }
  const sum = f32x4.add(f32x4.add(f32x4.add(a, b), f32x4.add(c, d)), f32x4.add(e, f));
  const rest = f32x4.add(f32x4.add(f32x4.add(g, h), f32x4.add(i, j)), f32x4.add(k, l));
  return f32x4.extract_lane(f32x4.add(sum, rest), 0);
}

/** As a command: every thread runs the loop at once. Many calls, since V8 replaces code between calls. */
export function probeFma(command: ProbeFma): void {
  let sum: f32 = 0;
  for (let i = 0; i < command.calls; i++) sum += loopFma(command.iterations);
  // Keeps the loop from being dropped.
  store<f32>(command.scratch(64), sum);
}

/** Bytes that a thread reads at a time. */
const CHUNK: usize = 1 << 16;

/** Reads memory and nothing else. */
export function probeRead(command: ProbeRead): void {
  const items = <i32>(command.bytes / CHUNK);
  let sum: f32 = 0;
  for (let item = command.takeItem(); item < items; item = command.takeItem()) {
    sum += sumChunk(command.address + <usize>item * CHUNK);
  }
  store<f32>(command.scratch(64), sum);
}

function sumChunk(at: usize): f32 {
  const end = at + CHUNK;
  let a = f32x4.splat(0);
  let b = a;
  let c = a;
  let d = a;
  while (at < end) {
    a = v128.xor(a, v128.load(at));
    b = v128.xor(b, v128.load(at, 16));
    c = v128.xor(c, v128.load(at, 32));
    d = v128.xor(d, v128.load(at, 48));
    at += 64;
  }
  return sumLanes(v128.xor(v128.xor(a, b), v128.xor(c, d)));
}
