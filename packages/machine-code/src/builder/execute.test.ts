import { describe, expect, it } from 'vitest';
import {
  assemble,
  defineKernel,
  type Feature,
  r12,
  r13,
  r14,
  r15,
  rax,
  rbp,
  rbx,
  rcx,
  rdi,
  rdx,
  rsi,
  rsp,
  xmm,
} from '../index.ts';
import { abi, machine, needing, runKernel } from '../testing/execute.ts';
import type { AbiName } from './abi.ts';

/** A test that runs emitted code, where the processor has the features. */
function executing(name: string, features: readonly Feature[], test: () => void): void {
  const { skipped, note } = needing(features);
  it.skipIf(skipped)(`${name}${note}`, test);
}

const address = (array: ArrayBufferView) => machine().addressOf(array);

describe('control flow, executed', () => {
  executing('loops, conditions and early ends', [], () => {
    const kernel = defineKernel(
      {
        name: 'control',
        features: [],
        job: { out: 'pointer', n: 'i64', stop: 'u32', next: 'u32' },
      },
      (k, job) => {
        const out = k.gpr('out', job.out);
        const n = k.gpr('n', job.n);
        const sum = k.gpr('sum', 0);
        // 0 + 3 + 6 + …, odd ones counted double
        k.for({ to: n, step: 3 }, (i) => {
          k.add(sum, i);
          k.test(i.low32, 1);
          k.if(k.flags('ne'), () => k.add(sum, i));
        });
        k.mov(out.at(0), sum);
        k.set(sum, 1n << 40n);
        k.loop(n, () => k.add(sum, 1));
        k.mov(out.at(8), sum);
        k.if(k.compare(job.stop, 'eq', 7), () => k.return());
        k.set(sum, -5);
        k.loop(10, () => k.loop(3, () => k.add(sum, 1)));
        k.if(
          k.compare(sum, 'below', 25),
          () => k.set(sum, 111),
          () => k.add(sum, 1000),
        );
        k.mov(out.at(16), sum);
      },
    );
    for (const [n, stop] of [
      [0, 0],
      [1, 7],
      [20, 0],
    ] as const) {
      const out = new BigInt64Array(3).fill(-1n);
      runKernel(kernel, { out: address(out), n, stop, next: 1 });
      let sum = 0;
      for (let i = 0; i < n; i += 3) sum += i % 2 === 1 ? 2 * i : i;
      expect([...out]).toEqual([BigInt(sum), (1n << 40n) + BigInt(n), stop === 7 ? -1n : 1025n]);
    }
  });

  executing('loops and jumps whose bodies need near jumps', [], () => {
    const kernel = defineKernel(
      { name: 'long', features: [], job: { out: 'pointer' } },
      (k, job) => {
        const out = k.gpr('out', job.out);
        const sum = k.gpr('sum', 0);
        k.loop(100, () => {
          k.if(k.compare(sum, 'ge', 0), () => {
            for (let i = 0; i < 200; i++) k.add(sum, 1000);
          });
        });
        k.mov(out.at(), sum);
      },
    );
    const near = kernel
      .assemble(abi)
      .lines.filter(({ text, bytes }) => /^j/.test(text) && bytes.length > 2);
    expect(near).toHaveLength(2);
    const out = new BigInt64Array(1);
    runKernel(kernel, { out: address(out) });
    expect(out[0]).toBe(20_000_000n);
  });

  executing('stack slots are aligned and keep apart', ['avx', 'avx2'], () => {
    const kernel = defineKernel(
      { name: 'stack', features: ['avx2'], job: { out: 'pointer' } },
      (k, job) => {
        const a = k.stack(32, 32);
        const b = k.stack(64, 64);
        const out = k.gpr('out', job.out);
        const address = k.gpr('address');
        const kept = k.gpr('kept', 99);
        k.lea(address, b);
        k.mov(out.at(0), address);
        const x = k.ymm('x');
        k.vpbroadcastd(x, k.constant.u32(7));
        k.vmovdqa(a, x);
        k.vpaddd(x, x, x);
        k.vmovdqa(b, x);
        k.vpaddd(x, x, a);
        k.vmovdqu(out.at(32), x);
        k.mov(out.at(8), kept);
      },
    );
    const out = new BigInt64Array(8);
    runKernel(kernel, { out: address(out) });
    expect(out[0] % 64n).toBe(0n);
    expect(out[1]).toBe(99n);
    expect(new Int32Array(out.buffer, 32, 8)).toEqual(new Int32Array(8).fill(21));
  });
});

/** What a function must give back, as the System V caller below sees it. */
const keptGprs = {
  'system-v': [rbx, rbp, r12, r13, r14, r15],
  windows: [rbx, rbp, rdi, rsi, r12, r13, r14, r15],
};

/** Code with System V arguments (callee, its argument, out) that calls by a convention and notes what it kept. */
function caller(convention: AbiName) {
  const kept = keptGprs[convention];
  return assemble((a) => {
    const own = [rbx, rbp, r12, r13, r14, r15];
    for (const register of own) a.push(register);
    a.push(rdx);
    a.mov(rax, rdi);
    a.mov(convention === 'windows' ? rcx : rdi, rsi);
    for (const [i, register] of kept.entries()) a.mov(register, 0x1000 + i);
    const vectors = convention === 'windows' ? [6, 7, 8, 9, 10, 11, 12, 13, 14, 15] : [];
    for (const n of vectors) a.vmovups(xmm(n), a.constant.u32([n, n, n, n]));
    a.sub(rsp, 32);
    a.call(rax);
    a.add(rsp, 32);
    a.pop(rdx);
    for (const [i, register] of kept.entries()) a.mov(rdx.at(8 * i), register);
    for (const n of vectors) a.vmovups(rdx.at(64 + 16 * (n - 6)), xmm(n));
    for (const register of own.reverse()) a.pop(register);
    a.ret();
  });
}

describe.each(['system-v', 'windows'] as const)('the %s convention, executed', (convention) => {
  executing('keeps what belongs to the caller', ['avx2'], () => {
    const kernel = defineKernel(
      { name: 'greedy', features: ['avx2'], job: { out: 'pointer', shift: 'u64' } },
      (k, job) => {
        const out = k.gpr('out', job.out);
        const all = Array.from({ length: 12 }, (_, i) => k.gpr(`r${i}`, i + 1));
        const sum = all[0];
        for (const one of all.slice(1)) k.add(sum, one);
        k.add(sum, job.shift);
        k.mov(out.at(), sum);
        for (const y of k.ymms('y', 16)) k.vxorps(y, y, y);
        const slot = k.stack(8, 64);
        k.mov(slot, sum);
      },
    );
    const out = new BigInt64Array(1);
    const job = kernel.packJob({ out: address(out), shift: 22 });
    const callee = machine().load(kernel.assemble(convention));
    const seen = new Uint8Array(64 + 160);
    machine().load(caller(convention))(callee.address, address(job), address(seen));
    expect(out[0]).toBe(100n);
    const gprs = new BigInt64Array(seen.buffer, 0, keptGprs[convention].length);
    expect([...gprs]).toEqual(keptGprs[convention].map((_, i) => BigInt(0x1000 + i)));
    if (convention === 'windows') {
      const vectors = new Uint32Array(seen.buffer, 64);
      expect([...vectors]).toEqual(Array.from({ length: 40 }, (_, i) => 6 + (i >> 2)));
    }
  });
});

describe('tiles and vectors, executed', () => {
  executing('a product of tiles: 16 × 16 out of 16 × 32 and 32 × 16 in bf16', ['amx_bf16'], () => {
    const kernel = defineKernel(
      {
        name: 'tile_product',
        features: ['amx_bf16'],
        job: { a: 'pointer', b: 'pointer', c: 'pointer' },
      },
      (k, job) => {
        const [a, b, c] = [k.gpr('a', job.a), k.gpr('b', job.b), k.gpr('c', job.c)];
        const stride = k.gpr('stride', 64);
        const [sums, left, right] = k.tiles('tiles', 3);
        k.configureTiles();
        k.tilezero(sums);
        k.tileloadd(left, a.at(stride));
        k.tileloaddt1(right, b.at(stride));
        k.tdpbf16ps(sums, left, right);
        k.tilestored(c.at(stride), sums);
      },
    );
    const code = kernel.assemble('system-v').lines.filter(({ kind }) => kind === 'instruction');
    expect(code.slice(-3).map(({ text }) => text)).toEqual(['tilerelease', 'pop rbp', 'ret']);
    // Small integers: exact in bf16 and in the sums.
    const bf16 = (x: number) => new Uint32Array(Float32Array.of(x).buffer)[0] >>> 16;
    const valueA = (i: number, d: number) => ((i * 7 + d * 3) % 11) - 5;
    const valueB = (d: number, j: number) => ((d * 5 + j * 13) % 9) - 4;
    const a = new Uint16Array(512);
    const b = new Uint16Array(512); // pairs of rows: [depth / 2][column][depth % 2]
    for (let i = 0; i < 16; i++) {
      for (let d = 0; d < 32; d++) {
        a[i * 32 + d] = bf16(valueA(i, d));
        b[(d >> 1) * 32 + i * 2 + (d & 1)] = bf16(valueB(d, i));
      }
    }
    const c = new Float32Array(256);
    runKernel(kernel, { a: address(a), b: address(b), c: address(c) });
    for (let i = 0; i < 16; i++) {
      for (let j = 0; j < 16; j++) {
        let sum = 0;
        for (let d = 0; d < 32; d++) sum += valueA(i, d) * valueB(d, j);
        expect(c[i * 16 + j]).toBe(sum);
      }
    }
  });

  executing('masks, broadcasts, gathers and constants', ['avx512f', 'bmi2'], () => {
    const kernel = defineKernel(
      {
        name: 'lanes',
        features: ['avx512f', 'bmi2'],
        job: { x: 'pointer', table: 'pointer', out: 'pointer', count: 'u32' },
      },
      (k, job) => {
        const [x, table, out] = [
          k.gpr('x', job.x),
          k.gpr('table', job.table),
          k.gpr('out', job.out),
        ];
        const tail = k.mask('tail');
        k.scope(() => {
          const ones = k.gpr('ones', 0xffff);
          const count = k.gpr('count', job.count);
          k.bzhi(ones.low32, ones.low32, count.low32);
          k.kmovw(tail, ones.low32);
        });
        const all = k.mask('all');
        const [index, value] = k.zmms('v', 2);
        k.vmovdqu32(index.zeroMasked(tail), x.at());
        k.kmovw(all, tail);
        k.vxorps(value.xmm, value.xmm, value.xmm);
        k.vgatherdps(value.masked(all), table.at(index.times(4)));
        k.vfmadd213ps(value, value, k.constant.f32(0.5).broadcast());
        k.vmovups(out.at().masked(tail), value);
      },
    );
    const x = Int32Array.from({ length: 16 }, (_, i) => (i * 5) % 16);
    const table = Float32Array.from({ length: 16 }, (_, i) => i);
    const out = new Float32Array(16).fill(-1);
    runKernel(kernel, { x: address(x), table: address(table), out: address(out), count: 11 });
    expect([...out]).toEqual([...x].map((i, at) => (at < 11 ? i * i + 0.5 : -1)));
  });

  executing('streams woven into each other compute what they compute alone', ['avx512f'], () => {
    const kernel = (woven: boolean) =>
      defineKernel({ name: 'woven', features: ['avx512f'], job: { out: 'pointer' } }, (k, job) => {
        const out = k.gpr('out', job.out);
        const [a, b] = k.zmms('results', 2);
        const power = (name: string, result: typeof a, times: number, base: number) =>
          k.record(name, () => {
            const factor = k.zmm('factor');
            k.vbroadcastss(factor, k.constant.f32(base));
            k.vmovaps(result, factor);
            for (let i = 1; i < times; i++) k.vmulps(result, result, factor);
          });
        const [first, second] = [power('first', a, 10, 2), power('second', b, 4, 3)];
        if (woven) k.weave(first, second);
        first.rest();
        second.rest();
        k.vmovups(out.at(0), a);
        k.vmovups(out.at(64), b);
      });
    for (const woven of [false, true]) {
      const out = new Float32Array(32);
      runKernel(kernel(woven), { out: address(out) });
      expect([...out]).toEqual([...new Array(16).fill(1024), ...new Array(16).fill(81)]);
    }
  });
});
