import { describe, expect, it } from 'vitest';
import { defineKernel, field, global, SimMemory, simulate } from '../index.ts';
import { faultOf, runKernel } from '../testing/run.ts';

const words = { s: field('u32', [64]) };

describe('memory accesses', () => {
  it('beyond an allocation are out of bounds, with place and address', () => {
    const error = faultOf('out of bounds', () =>
      runKernel({ threads: 64, grid: 3, inputs: 100 }, (k) => {
        const i = k.mad(k.blockIdx.x, 64, k.threadIdx.x);
        k.params.out.at(i).store(k.params.x.at(i).load());
      }),
    );
    expect(error.place).toMatchObject({ kernel: 'test_kernel', cta: [1, 0, 0], warp: 1, lane: 4 });
    expect(error.place.location.file).toMatch(/sanitizer\.test\.ts$/);
    expect(error.message).toMatch(
      /sanitizer\.test\.ts:\d+, ld, CTA \(1, 0, 0\), warp 1, lane 4, address 0x/,
    );
    expect(error.message).toContain('0 bytes past the end of the 400-byte allocation');
  });

  it('to freed memory say so', () => {
    const kernel = defineKernel(
      { name: 'test_kernel', params: { x: global('u32') }, block: [32] },
      (_k, { x }) => x.store(1),
    );
    const memory = new SimMemory();
    const x = memory.alloc(128);
    memory.alloc(64);
    memory.free(x);
    const error = faultOf('out of bounds', () =>
      simulate(kernel, { grid: [1], memory, params: { x } }),
    );
    expect(error.message).toContain('memory that was freed');
  });

  it('must be aligned to their size', () => {
    faultOf('misaligned', () =>
      runKernel({}, (k) => k.params.out.store(k.params.x.at(1).loadVec(2)[0])),
    );
    faultOf('misaligned', () =>
      runKernel({ shared: words }, (k) => {
        k.shared.s.at(k.laneId).store(1);
        k.shared.s.at(1).loadVec(4);
      }),
    );
  });

  it('in shared memory stay within the layout', () => {
    const error = faultOf('out of bounds', () =>
      runKernel({ shared: words }, (k) => k.shared.s.at(k.laneId.mul(3)).store(1)),
    );
    expect(error.place).toMatchObject({ lane: 22, address: 264 });
  });

  it('in constant memory stay within an array', () => {
    faultOf('out of bounds', () =>
      runKernel({}, (k) => {
        const table = k.constArray('u32', new Uint32Array(16));
        k.params.out.store(table.at(k.laneId).load());
      }),
    );
  });
});

describe('reading what nobody wrote', () => {
  it('in shared memory', () => {
    const error = faultOf('uninitialised read', () =>
      runKernel({ shared: words }, (k) => {
        k.if(k.laneId.ne(5), () => k.shared.s.at(k.laneId).store(1));
        k.syncWarp();
        k.params.out.at(k.laneId).store(k.shared.s.at(k.laneId.xor(1)).load());
      }),
    );
    expect(error.place.lane).toBe(4);
  });

  it('in shared memory that an earlier CTA wrote', () => {
    faultOf('uninitialised read', () =>
      runKernel({ shared: words, grid: 2 }, (k) => {
        k.if(k.blockIdx.x.eq(0), () => k.shared.s.at(k.laneId).store(1));
        k.params.out.at(k.laneId).store(k.shared.s.at(k.laneId).load());
      }),
    );
  });

  it('in a variable that was set on another path', () => {
    const error = faultOf('uninitialised read', () =>
      runKernel({}, (k) => {
        const v = k.var('u32');
        k.if(k.laneId.lt(7), () => v.set(3));
        k.params.out.at(k.laneId).store(v.add(1));
      }),
    );
    expect(error.place.lane).toBe(7);
  });

  it('in a variable within one run of instructions, and as a condition', () => {
    faultOf('uninitialised read', () =>
      runKernel({}, (k) => {
        const v = k.var('u32');
        const w = v.add(1);
        v.set(2);
        k.params.out.store(w);
      }),
    );
    faultOf('uninitialised read', () =>
      runKernel({}, (k) => k.if(k.var('pred'), () => k.params.out.store(1))),
    );
  });

  it('in global memory, down to the byte', () => {
    const kernel = defineKernel(
      { name: 'test_kernel', params: { x: global('u8') }, block: [32] },
      (k, { x }) => x.at(k.laneId).store(x.at(k.laneId).load()),
    );
    const memory = new SimMemory();
    const x = memory.alloc(32);
    memory.write(x, new Uint8Array(30));
    const run = () => simulate(kernel, { grid: [1], memory, params: { x } });
    expect(faultOf('uninitialised read', run).place.lane).toBe(30);
    memory.fill(x, 0, 32);
    expect(run).not.toThrow();
  });
});

describe('races in shared memory', () => {
  const exchange = (sync: 'barrier' | 'none', races?: boolean) =>
    runKernel({ shared: words, threads: 64, ...(races === undefined ? {} : { races }) }, (k) => {
      k.shared.s.at(k.threadIdx.x).store(k.threadIdx.x);
      if (sync === 'barrier') k.barrier();
      k.params.out.at(k.threadIdx.x).store(k.shared.s.at(k.threadIdx.x.xor(33)).load());
    });

  it('between warps: read after write', () => {
    // Warp 0 runs first, so warp 1 reads what it wrote.
    const run = () =>
      runKernel({ shared: words, threads: 64 }, (k) => {
        k.if(k.warpId.eq(0), () => k.shared.s.at(k.laneId).store(1));
        k.if(k.warpId.eq(1), () => k.params.out.at(k.laneId).store(k.shared.s.at(k.laneId).load()));
      });
    expect(faultOf('race', run).message).toContain('reads what warp 0 wrote');
    expect(exchange('barrier').out[0]).toBe(33);
  });

  it('between warps: write after read', () => {
    const error = faultOf('race', () =>
      runKernel({ shared: words, threads: 64 }, (k) => {
        k.shared.s.at(k.threadIdx.x).store(k.threadIdx.x);
        k.barrier();
        // Warp 1 completes the barrier and goes on first.
        k.if(k.warpId.eq(1), () => k.params.out.at(k.laneId).store(k.shared.s.at(k.laneId).load()));
        k.if(k.warpId.eq(0), () => k.shared.s.at(k.laneId).store(99));
      }),
    );
    expect(error.message).toContain('overwrites what warp 1 read');
  });

  it('between warps: write after write, unless both write the same', () => {
    const write = (same: boolean) =>
      runKernel({ shared: words, threads: 64 }, (k) => {
        k.shared.s.at(k.laneId).store(same ? 7 : k.warpId);
      });
    expect(faultOf('race', () => write(false)).message).toContain('overwrites what warp 0 wrote');
    expect(() => write(true)).not.toThrow();
  });

  it('between lanes of a warp', () => {
    const shift = (sync: boolean) =>
      runKernel({ shared: words }, (k) => {
        k.shared.s.at(k.laneId).store(k.laneId);
        if (sync) k.syncWarp();
        k.params.out.at(k.laneId).store(k.shared.s.at(k.laneId.xor(1)).load());
      });
    expect(faultOf('race', () => shift(false)).message).toContain('no syncWarp');
    expect(shift(true).out[0]).toBe(1);
  });

  it('between lanes that share a word but not a byte are none', () => {
    const { out } = runKernel({ shared: { h: field('u16', [64]) } }, (k) => {
      k.shared.h.at(k.laneId).store(k.laneId);
      k.shared.h.at(k.laneId).store(k.shared.h.at(k.laneId).load().add(1));
      k.params.out.at(k.laneId).store(k.shared.h.at(k.laneId).load());
    });
    expect([...out.slice(0, 4)]).toEqual([1, 2, 3, 4]);
  });

  it('respect named barriers: who arrives publishes, who waits sees', () => {
    const pipeline = (full: boolean) =>
      runKernel({ shared: words, threads: 96 }, (k) => {
        k.role('producer', k.warpId.eq(0), () => {
          k.shared.s.at(k.laneId).store(k.laneId.add(5));
          if (full) k.barrierArrive(1, 96);
        });
        k.role('consumer', k.warpId.ne(0), () => {
          k.barrier(1, full ? 96 : 64);
          k.params.out.at(k.laneId).store(k.shared.s.at(k.laneId).load());
        });
      });
    expect(pipeline(true).out[3]).toBe(8);
    faultOf('race', () => pipeline(false));
  });

  it('do not concern atomics, which also hand over what was written before', () => {
    const { out } = runKernel({ shared: words, threads: 64 }, (k) => {
      k.if(k.threadIdx.x.eq(0), () => {
        k.shared.s.at(1).store(42);
        k.shared.s.at(0).store(0);
      });
      k.barrier();
      k.reduceAdd(k.shared.s.at(0), 1);
      k.if(k.threadIdx.x.eq(0), () => {
        k.while(
          () => k.shared.s.at(0).load({ volatile: true }).lt(64),
          () => {},
        );
        k.params.out.store(k.shared.s.at(1).load());
      });
    });
    expect(out[0]).toBe(42);
  });

  it('can be left unchecked', () => {
    expect(() =>
      runKernel({ shared: words, threads: 64, races: false }, (k) => {
        k.shared.s.at(k.laneId).store(k.warpId);
        k.params.out.store(k.shared.s.at(3).load());
      }),
    ).not.toThrow();
  });
});

describe('asynchronous copies', () => {
  const copy = (wait: boolean, sync: boolean) =>
    runKernel({ shared: words }, (k) => {
      k.cpAsync(k.shared.s.at(k.laneId), k.params.x.at(k.laneId), 4);
      k.cpAsyncCommit();
      if (wait) k.cpAsyncWait(0);
      if (sync) k.syncWarp();
      k.params.out.at(k.laneId).store(k.shared.s.at(k.laneId.xor(1)).load());
    });

  it('deliver when they are waited for, to their own lane', () => {
    expect(copy(true, true).out[6]).toBe(7);
    faultOf('pending copy', () => copy(false, true));
    faultOf('race', () => copy(true, false));
  });

  it('must not be overtaken by a store', () => {
    faultOf('pending copy', () =>
      runKernel({ shared: words }, (k) => {
        k.cpAsync(k.shared.s.at(k.laneId), k.params.x.at(k.laneId), 4);
        k.shared.s.at(k.laneId).store(1);
      }),
    );
  });

  it('count in groups', () => {
    const pending = (allowed: number) =>
      runKernel({ shared: words }, (k) => {
        for (const half of [0, 32]) {
          k.cpAsync(k.shared.s.at(k.laneId.add(half)), k.params.x.at(k.laneId.add(half)), 4);
          k.cpAsyncCommit();
        }
        k.cpAsyncWait(allowed);
        k.params.out.at(k.laneId).store(k.shared.s.at(k.laneId).load());
        k.cpAsyncWaitAll();
        k.params.out.at(k.laneId.add(32)).store(k.shared.s.at(k.laneId.add(32)).load());
      });
    expect([...pending(1).out.slice(30, 34)]).toEqual([30, 31, 32, 33]);
    faultOf('pending copy', () => pending(2));
  });

  it('read no more than their source size', () => {
    faultOf('out of bounds', () =>
      runKernel({ shared: words }, (k) => {
        k.cpAsync(k.shared.s.at(k.laneId), k.params.x, 4, { sourceBytes: 5 });
      }),
    );
    // The address of nothing is never touched.
    const { out } = runKernel({ shared: words }, (k) => {
      k.cpAsync(k.shared.s.at(k.laneId), k.params.x.at(100_000), 4, { sourceBytes: 0 });
      k.cpAsyncWaitAll();
      k.params.out.at(k.laneId).store(k.shared.s.at(k.laneId).load().add(3));
    });
    expect(out[9]).toBe(3);
  });
});

describe('divergence', () => {
  const tile = { t: field('bf16', [16, 8]) };

  it('is no place for matrix instructions and barriers', () => {
    faultOf('divergence', () =>
      runKernel({ shared: tile }, (k) =>
        k.if(k.laneId.lt(16), () => void k.ldmatrix(k.shared.t.at(k.laneId, 0), 1)),
      ),
    );
    const error = faultOf('divergence', () =>
      runKernel({}, (k) => k.if(k.laneId.lt(31), () => k.barrier())),
    );
    expect(error.place.lane).toBe(31);
  });

  it('must not hide lanes that a shuffle names', () => {
    faultOf('divergence', () =>
      runKernel({}, (k) =>
        k.if(k.laneId.lt(16), () => k.params.out.store(k.shuffleXor(k.laneId, 1))),
      ),
    );
    faultOf('divergence', () =>
      runKernel({}, (k) =>
        k.if(k.laneId.lt(16), () =>
          k.params.out.store(k.shuffleXor(k.laneId, 16, { mask: 0xffff })),
        ),
      ),
    );
    faultOf('divergence', () => runKernel({}, (k) => k.if(k.laneId.eq(3), () => k.syncWarp())));
  });

  it('contradicts a branch declared uniform', () => {
    faultOf('divergence', () =>
      runKernel({}, (k) => k.if(k.laneId.lt(3), () => {}, { uniform: true })),
    );
    faultOf('divergence', () =>
      runKernel({}, (k) => k.for({ to: k.laneId, uniform: true }, () => {})),
    );
    faultOf('divergence', () => runKernel({}, (k) => k.role('leader', k.laneId.eq(0), () => {})));
  });

  it('does not concern lanes that have exited', () => {
    const { out } = runKernel({}, (k) => {
      k.if(k.laneId.ge(16), () => k.exit());
      k.barrier();
      k.params.out.at(k.laneId).store(k.shuffleXor(k.laneId, 1));
    });
    expect([...out.slice(14, 18)]).toEqual([15, 14, 0, 0]);
  });
});

describe('barriers and progress', () => {
  it('a barrier that not all warps reach is a deadlock, and says who waits where', () => {
    const error = faultOf('deadlock', () =>
      runKernel({ threads: 96 }, (k) =>
        k.role('two of three', k.warpId.lt(2), () => k.barrier(3, 96)),
      ),
    );
    expect(error.message).toMatch(
      /warp 0 waits at barrier 3 \(2 of 3 warps there\), .*sanitizer\.test\.ts:\d+/,
    );
  });

  it('a whole-CTA barrier needs only the warps that have not exited', () => {
    expect(() =>
      runKernel({ threads: 96 }, (k) => {
        k.role('leaves', k.warpId.eq(2), () => k.exit());
        k.barrier();
      }),
    ).not.toThrow();
  });

  it('warps must agree on the number of threads', () => {
    faultOf('barrier', () =>
      runKernel({ threads: 96 }, (k) =>
        k.if(
          k.warpId.eq(0),
          () => k.barrier(1, 64),
          () => k.barrier(1, 96),
          { uniform: true },
        ),
      ),
    );
  });

  it('warps must agree on the question', () => {
    const error = faultOf('barrier', () =>
      runKernel({ threads: 96 }, (k) =>
        k.if(
          k.warpId.eq(0),
          () => k.barrier(1, 96),
          () => k.barrierAny(k.laneId.eq(0), 1, 96),
          { uniform: true },
        ),
      ),
    );
    expect(error.message).toMatch(/asked whether any vote yes here and only waited for by others/);
  });

  it('arriving twice is an error', () => {
    faultOf('barrier', () =>
      runKernel({ threads: 96 }, (k) => {
        k.barrierArrive(1, 96);
        k.barrierArrive(1, 96);
      }),
    );
  });

  it('polling what nobody writes is a deadlock', () => {
    const error = faultOf('deadlock', () =>
      runKernel({}, (k) => {
        k.while(
          () => k.params.x.load({ volatile: true }).eq(0),
          () => {},
        );
      }),
    );
    expect(error.message).toContain('polls memory that nobody changes');
  });

  it('polling what a later CTA writes is not', () => {
    const { out } = runKernel({ grid: 5 }, (k) => {
      k.if(
        k.blockIdx.x.eq(0),
        () => {
          k.while(
            () => k.params.out.at(7).load({ acquire: 'gpu' }).ne(4),
            () => k.nanosleep(20),
          );
          k.params.out.at(8).store(9);
        },
        () => k.if(k.laneId.eq(0), () => k.reduceAdd(k.params.out.at(7), 1, { order: 'release' })),
      );
    });
    expect([out[7], out[8]]).toEqual([4, 9]);
  });

  it('a loop without end is stopped', () => {
    faultOf('endless', () =>
      runKernel({ maxRounds: 1000 }, (k) => k.loop((loop) => loop.breakIf(k.params.n.eq(1)))),
    );
  });

  it('trap and division by zero are errors', () => {
    expect(
      faultOf('trap', () => runKernel({}, (k) => k.if(k.laneId.eq(9), () => k.trap()))).place.lane,
    ).toBe(9);
    const error = faultOf('division by zero', () =>
      runKernel({}, (k) => k.params.out.store(k.laneId.div(k.laneId.sub(4)))),
    );
    expect(error.place.lane).toBe(4);
  });
});

describe('data from other CTAs', () => {
  const lastArriver = (options: { before?: boolean; after?: boolean; nc?: boolean }) =>
    runKernel({ grid: 4 }, (k) => {
      const { out } = k.params;
      k.if(k.laneId.eq(0), () => {
        out.at(k.blockIdx.x).store(k.blockIdx.x.add(1));
        if (options.before ?? true) k.fence('gpu');
        const arrived = k.atomicAdd(out.at(16), 1);
        if (options.after ?? true) k.fence('gpu');
        k.if(arrived.eq(3), () => {
          const sum = k.var('u32', 0);
          for (let i = 0; i < 4; i++) sum.addTo(out.at(i).load({ nc: options.nc ?? false }));
          out.at(17).store(sum);
        });
      });
    });

  it('can be read after fences on both sides', () => {
    expect(lastArriver({}).out[17]).toBe(10);
  });

  it('cannot be relied upon without them', () => {
    expect(faultOf('unpublished read', () => lastArriver({ before: false })).message).toContain(
      'between the write and the signal',
    );
    expect(faultOf('unpublished read', () => lastArriver({ after: false })).message).toContain(
      'between the signal and the read',
    );
    expect(faultOf('unpublished read', () => lastArriver({ nc: true })).message).toContain('nc');
  });

  it('may be published by one thread for its CTA after a barrier', () => {
    const merge = (barrier: boolean) =>
      runKernel({ grid: 2, threads: 64 }, (k) => {
        const { out } = k.params;
        const me = k.mad(k.blockIdx.x, 64, k.threadIdx.x);
        out.at(me).store(me);
        if (barrier) k.barrier();
        const flag = k.var('u32', 0);
        k.if(k.threadIdx.x.eq(0), () =>
          flag.set(k.atomicAdd(out.at(200), 1, { order: 'acq_rel' })),
        );
        k.if(k.threadIdx.x.eq(0).and(flag.eq(1)), () => out.at(201).store(out.at(63).load()));
      });
    expect(merge(true).out[201]).toBe(63);
    faultOf('unpublished read', () => merge(false));
  });
});
